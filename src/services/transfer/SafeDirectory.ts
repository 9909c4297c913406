// Opens directories below a trusted root one name at a time and never through a symbolic link, so
// that nothing another process swaps in meanwhile leads outside. Node has no openat(2); on Linux a
// path below /proc/self/fd/N is resolved from the open directory N, which is equivalent. Elsewhere
// each directory is compared with its descriptor right before its use. Every call here is
// synchronous: it handles names, not content.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync
} from "node:fs"
import path from "node:path"
import * as RealPath from "../../keys/RealPath.ts"
import { limits } from "./limits.ts"
import type { SafePath } from "./SafePath.ts"

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

const hasProcFd = existsSync("/proc/self/fd/0") || existsSync("/proc/self/fd/1")

/** A directory was moved or replaced while it was in use. */
const movedError = () =>
  Object.assign(new Error("the directory was replaced meanwhile"), { code: "EMOVED" })

/** An open directory. */
export class SafeDirectory {
  readonly fd: number
  /** Its path for display; not for system calls. */
  readonly path: string
  /** Number of users; a pinned directory is not closed to make room. */
  pins = 0

  constructor(fd: number, path: string) {
    this.fd = fd
    this.path = path
  }

  /**
   * Returns a path of the entry `name` for one system call. The call must not follow a link at its
   * end: O_NOFOLLOW, lstat, unlink, rename. Throws EMOVED if the directory was replaced.
   */
  pathOf(name: string): string {
    if (hasProcFd) return `/proc/self/fd/${this.fd}/${name}`
    const [opened, current] = [fstatSync(this.fd), lstatSync(this.path)]
    if (
      opened.dev !== current.dev ||
      opened.ino !== current.ino ||
      RealPath.resolveSync(this.path) !== this.path
    )
      throw movedError()
    return path.join(this.path, name)
  }

  /** A path of the directory itself, to list it. */
  get listingPath(): string {
    return hasProcFd ? `/proc/self/fd/${this.fd}` : path.dirname(this.pathOf("."))
  }

  /** Opens the directory of this name; throws if it is a link or not a directory. */
  open(name: string): SafeDirectory {
    return new SafeDirectory(
      openSync(this.pathOf(name), directoryFlags),
      path.join(this.path, name)
    )
  }

  /**
   * False if its path leads to nothing, or to something else: what is stored in it is not where the
   * peer expects it.
   */
  get isInPlace(): boolean {
    const opened = fstatSync(this.fd)
    try {
      const current = lstatSync(this.path, { throwIfNoEntry: false })
      return current?.ino === opened.ino && current.dev === opened.dev
    } catch {
      // A path that the system does not take (it is too long) says nothing about the directory.
      return true
    }
  }

  /** Throws EMOVED if it was moved, removed or replaced. */
  requireInPlace(): void {
    if (!this.isInPlace) throw movedError()
  }

  close(): void {
    closeSync(this.fd)
  }
}

/** The directories below a root; the most recently used ones stay open. */
export class SafeDirectories {
  readonly root: SafeDirectory
  /** Least recently used first. */
  readonly #open = new Map<string, SafeDirectory>()

  /** Opens the root. A path comes from this side's user and may be a link; throws system errors. */
  constructor(root: string | SafeDirectory) {
    if (typeof root !== "string") {
      this.root = root
      return
    }
    const real = RealPath.resolveSync(root)
    this.root = new SafeDirectory(openSync(real, directoryFlags), real)
  }

  /** Returns the directories below one of these, which is opened once more as their root. */
  subtree(at: SafePath): SafeDirectories {
    return new SafeDirectories(this.get(at.parent).open(at.name))
  }

  /** Opens a directory; throws ENOENT, ENOTDIR or ELOOP if a name on the way is not a directory. */
  get(at: SafePath): SafeDirectory {
    if (at.depth === 0) return this.root
    const cached = this.#open.get(at.text)
    if (cached !== undefined) {
      this.#open.delete(at.text)
      this.#open.set(at.text, cached)
      return cached
    }
    const directory = this.get(at.parent).open(at.name)
    this.#open.set(at.text, directory)
    this.#evict(directory)
    return directory
  }

  #evict(except: SafeDirectory): void {
    for (const [key, directory] of this.#open) {
      if (this.#open.size <= limits.openDirectories) return
      if (directory.pins > 0 || directory === except) continue
      this.#open.delete(key)
      directory.close()
    }
  }

  /** Makes a directory unless it exists; returns true if it was made. */
  ensure(at: SafePath, mode: number): boolean {
    const parent = this.get(at.parent)
    try {
      mkdirSync(parent.pathOf(at.name), { mode })
      return true
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
      this.get(at)
      return false
    }
  }

  /** Closes every open directory, the root included. */
  close(): void {
    for (const directory of this.#open.values()) directory.close()
    this.#open.clear()
    this.root.close()
  }
}
