import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import path from "node:path"

export const digestOf = (content: Uint8Array): string =>
  createHash("sha256").update(content).digest("hex")

/** Stored files of a server: what each acknowledged one must contain. */
export class FileBook {
  readonly #digests = new Map<string, string>()

  get paths(): ReadonlyArray<string> {
    return [...this.#digests.keys()]
  }

  /** Notes that the sender was told that this content is stored under this path. */
  stored(name: string, digest: string): void {
    this.#digests.set(name, digest)
  }

  /** Forgets a file that is about to be deleted. */
  forget(name: string): void {
    this.#digests.delete(name)
  }

  /** Compares one file below a folder with its digest. Returns a violation, if there is one. */
  check(folder: string, name: string, from = name): string | undefined {
    const expected = this.#digests.get(name)
    if (expected === undefined) return `${name} is not in the book`
    try {
      const found = digestOf(readFileSync(path.join(folder, from)))
      return found === expected ? undefined : `${name} has the digest ${found}, not ${expected}`
    } catch (error) {
      return `${name} is lost: ${String(error)}`
    }
  }

  /** Compares every file below a folder. */
  checkAll(folder: string): ReadonlyArray<string> {
    return this.paths.flatMap((name) => this.check(folder, name) ?? [])
  }
}
