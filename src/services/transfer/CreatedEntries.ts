// What a session has made besides files: folders and links. What a folder has besides its content it gets when that is there.
import { fchmodSync, fstatSync, futimesSync } from "node:fs"
import * as Effect from "effect/Effect"
import { flush } from "./Disk.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import type { Entry } from "./Manifest.ts"
import { toFileTime } from "./PartialFile.ts"
import type { Receipt } from "./Messages.ts"

export class CreatedEntries {
  readonly #folders: SafeDirectories
  readonly #entries: ReadonlyArray<Entry>
  /** Folders and links that are there now, in the order of the manifest. */
  readonly #there: Array<number> = []
  /** Folders of those that were not there before. */
  readonly #new = new Set<number>()

  constructor(folders: SafeDirectories, entries: ReadonlyArray<Entry>) {
    this.#folders = folders
    this.#entries = entries
  }

  add(index: number, isNew = false): void {
    this.#there.push(index)
    if (isNew) this.#new.add(index)
  }

  /** The innermost first. */
  get #innermost(): ReadonlyArray<number> {
    return this.#there.filter((index) => this.#entries[index]?.kind === "folder").reverse()
  }

  /** Mode and time of the folders, which the files in them would have changed. One that was there keeps its mode. */
  applyAttributes(): void {
    for (const index of this.#innermost) {
      const { path, mode, mtime } = this.#entries[index] as Entry
      const isOurs = this.#new.has(index)
      const { fd } = this.#folders.get(path.split("/"))
      try {
        if (isOurs && (fstatSync(fd).mode & 0o777) !== mode) fchmodSync(fd, mode)
        futimesSync(fd, toFileTime(mtime), toFileTime(mtime))
      } catch (cause) {
        // One that was there may be another user's: what is in it has arrived.
        if (isOurs) throw cause
      }
    }
  }

  /** Folders and links are on the disk. */
  get flush(): Effect.Effect<void, NodeJS.ErrnoException> {
    return Effect.suspend(() => {
      const around = new Set(
        this.#there.map((index) =>
          (this.#entries[index] as Entry).path.split("/").slice(0, -1).join("/")
        )
      )
      for (const index of this.#innermost) around.add((this.#entries[index] as Entry).path)
      return Effect.forEach(
        around,
        (path) =>
          Effect.suspend(() => flush([], [this.#folders.get(path === "" ? [] : path.split("/"))])),
        { discard: true }
      )
    })
  }

  get receipts(): ReadonlyArray<Receipt> {
    return this.#there.map((index) => ({ index, outcome: "stored" }))
  }
}
