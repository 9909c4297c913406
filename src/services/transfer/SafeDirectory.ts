// Folders below one that is trusted, reached name by name and never through a symbolic link, whatever somebody swaps meanwhile. Node
// has no openat; on Linux a path through /proc/self/fd is one: it begins at the open folder itself. Elsewhere every folder is looked at
// right before its use. What is here waits for the disk: it is for names, not for content.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync
} from "node:fs"
import path from "node:path"
import { limits } from "./limits.ts"

const asFolder = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

const throughProc = existsSync("/proc/self/fd/0") || existsSync("/proc/self/fd/1")

/** A folder that was moved, or replaced, while it was used. */
const moved = () => Object.assign(new Error("a folder was replaced meanwhile"), { code: "EMOVED" })

export class SafeDirectory {
  readonly fd: number
  /** As it is called, for people. */
  readonly path: string
  /** Users that have it in hand. */
  pins = 0

  constructor(fd: number, path: string) {
    this.fd = fd
    this.path = path
  }

  /** What has this name in this folder, for one call of the system. The call must not follow a link: O_NOFOLLOW, lstat, unlink, rename. */
  pathOf(name: string): string {
    if (throughProc) return `/proc/self/fd/${this.fd}/${name}`
    const [here, there] = [fstatSync(this.fd), lstatSync(this.path)]
    if (here.dev !== there.dev || here.ino !== there.ino || realpathSync(this.path) !== this.path)
      throw moved()
    return path.join(this.path, name)
  }

  /** The folder itself, to be listed. */
  get listingPath(): string {
    return throughProc ? `/proc/self/fd/${this.fd}` : path.dirname(this.pathOf("."))
  }

  open(name: string): SafeDirectory {
    return new SafeDirectory(openSync(this.pathOf(name), asFolder), path.join(this.path, name))
  }

  /** Closes its descriptor. */
  close(): void {
    closeSync(this.fd)
  }
}

/** The folders below a top, some of them kept open. */
export class SafeDirectories {
  readonly root: SafeDirectory
  readonly #open = new Map<string, SafeDirectory>()

  /** `top` is this side's own word and may be a link; throws as the system does. */
  constructor(top: string | SafeDirectory) {
    if (typeof top !== "string") {
      this.root = top
      return
    }
    const real = realpathSync(top)
    this.root = new SafeDirectory(openSync(real, asFolder), real)
  }

  /** Those below one of them. */
  subtree(names: ReadonlyArray<string>): SafeDirectories {
    return new SafeDirectories(this.get(names.slice(0, -1)).open(names.at(-1) as string))
  }

  /** The folder of that name; throws when one on the way is missing, or is no folder (ENOENT, ENOTDIR, ELOOP). */
  get(names: ReadonlyArray<string>): SafeDirectory {
    if (names.length === 0) return this.root
    const key = names.join("/")
    const found = this.#open.get(key)
    if (found !== undefined) {
      // The last one used goes last.
      this.#open.delete(key)
      this.#open.set(key, found)
      return found
    }
    const folder = this.get(names.slice(0, -1)).open(names.at(-1) as string)
    this.#open.set(key, folder)
    this.#evict(folder)
    return folder
  }

  #evict(but: SafeDirectory): void {
    for (const [key, folder] of this.#open) {
      if (this.#open.size <= limits.openDirectories) return
      if (folder.pins > 0 || folder === but) continue
      this.#open.delete(key)
      folder.close()
    }
  }

  /** The folder, made where it is missing; true when it was made now. */
  ensure(names: ReadonlyArray<string>, mode: number): boolean {
    const parent = this.get(names.slice(0, -1))
    try {
      mkdirSync(parent.pathOf(names.at(-1) as string), { mode })
      return true
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
      this.get(names)
      return false
    }
  }

  /** Closes every folder that is open. */
  close(): void {
    for (const folder of this.#open.values()) folder.close()
    this.#open.clear()
    this.root.close()
  }
}
