// The folders and links that a session has made. Folders get their mode and time after their
// content, which would change the time again.
import { fchmodSync, fstatSync, futimesSync } from "node:fs"
import * as Effect from "effect/Effect"
import { attempt, flushDirectory, yieldTurn } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { Receipt } from "./Messages.ts"
import { toFileTime } from "./PartialFile.ts"
import { umask } from "./umask.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import type { SafePath } from "./SafePath.ts"

export class CreatedEntries {
  readonly #directories: SafeDirectories
  readonly #entries: ReadonlyArray<Entry>
  /** Folders and links that exist now, in the order of the manifest. */
  readonly #indices: Array<number> = []
  /** Folders that have folders whose names are not flushed, by path. */
  readonly #unflushed = new Map<string, SafePath>()
  /** Why a name could not be flushed. */
  #failure: NodeJS.ErrnoException | undefined
  /** The folders among them that did not exist before. */
  readonly #new = new Set<number>()

  constructor(directories: SafeDirectories, entries: ReadonlyArray<Entry>) {
    this.#directories = directories
    this.#entries = entries
  }

  add(index: number, isNew = false): void {
    this.#indices.push(index)
    if (isNew) this.#new.add(index)
  }

  /** Notes a folder whose name may not be flushed yet: it was made now, or shortly before. */
  noteName({ parent }: SafePath): void {
    this.#unflushed.set(parent.text, parent)
  }

  /** Flushes the names of folders: a file is durable when every folder that leads to it is. */
  get flushNames(): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.suspend(() => {
      if (this.#failure !== undefined) return Effect.fail(this.#failure)
      const paths = [...this.#unflushed.values()]
      this.#unflushed.clear()
      return Effect.forEach(paths, (path) => this.#flushPinned(path), { discard: true })
    }).pipe(
      // A second flush would prove nothing.
      Effect.tapError((cause) => Effect.sync(() => void (this.#failure = cause)))
    )
  }

  #flushPinned(path: SafePath): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.acquireUseRelease(
      attempt(() => {
        const directory = this.#directories.get(path)
        directory.pins++
        return directory
      }),
      flushDirectory,
      (directory) => Effect.sync(() => void directory.pins--)
    )
  }

  /** Indices of the folders, innermost first. */
  get #innermostFirst(): ReadonlyArray<number> {
    return this.#indices.filter((index) => this.#entries[index]?.kind === "folder").reverse()
  }

  /** Sets mode and time of the folders. A folder that existed before keeps its mode. */
  get applyAttributes(): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      for (const [done, index] of this.#innermostFirst.entries()) {
        if (done % limits.entriesPerTurn === limits.entriesPerTurn - 1) yield* yieldTurn
        yield* attempt(() => this.#applyAttributesTo(index))
      }
    })
  }

  #applyAttributesTo(index: number): void {
    const { path, mode, mtime } = this.#entries[index] as Entry
    const isNew = this.#new.has(index)
    const { fd } = this.#directories.get(path)
    try {
      const allowed = mode & ~umask
      if (isNew && (fstatSync(fd).mode & 0o777) !== allowed) fchmodSync(fd, allowed)
      futimesSync(fd, toFileTime(mtime), toFileTime(mtime))
    } catch (cause) {
      // A folder that existed may belong to another user; its content has arrived all the same.
      if (isNew) throw cause
    }
  }

  /** Makes the folders and links durable. */
  get flush(): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.suspend(() => {
      const paths = [
        ...this.#indices.map((index) => (this.#entries[index] as Entry).path.parent),
        ...this.#innermostFirst.map((index) => (this.#entries[index] as Entry).path)
      ]
      const unique = new Map(paths.map((path) => [path.text, path]))
      return Effect.forEach(unique.values(), (path) => this.#flushPinned(path), { discard: true })
    })
  }

  get receipts(): ReadonlyArray<Receipt> {
    return this.#indices.map((index) => ({ index, outcome: "stored" }))
  }
}
