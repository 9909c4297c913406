// A file that is being received: NAME.….part beside its place, which it takes when it is whole. TRANSFER.md section 5.
import { createHash, randomBytes } from "node:crypto"
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
  type Stats
} from "node:fs"
import * as Effect from "effect/Effect"
import { attempt } from "./Disk.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"
import { limits, protocolLimits } from "./limits.ts"
import * as PartialFileLock from "./PartialFileLock.ts"
import type { Entry } from "./Manifest.ts"
import * as Names from "./Names.ts"

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/** What a peer's unfinished files are called by: nobody else's are touched. */
export const peerTag = (peer: string | Uint8Array): string =>
  createHash("sha256").update(peer).digest("hex").slice(0, 8)

/** A source that changes is another source. */
const sourceOf = ({ path, size, mtime }: Entry): string =>
  createHash("sha256").update(`${path}\0${size}\0${mtime}`).digest("hex").slice(0, 15)

/** True for a file of which a beginning is of use. */
export const isResumable = ({ size }: Entry): boolean => size > protocolLimits.blockBytes

/** Microseconds as Node takes them: of seconds it cuts off what is behind them, so the middle is meant; before 1970 only a Date will do. */
export const toFileTime = (microseconds: number): number | Date =>
  microseconds < 0 ? new Date(Math.floor(microseconds / 1000)) : (microseconds + 0.5) / 1e6

export class PartialFile {
  readonly fd: number
  readonly folder: SafeDirectory
  /** Of the file as it is now. */
  readonly partName: string
  readonly name: string
  readonly #unlock: () => void
  readonly #ino: number
  readonly dev: number
  /** Another session may go on with it, or clear it away and begin anew. */
  readonly #isShared: boolean
  #open = true
  #released = false

  constructor(
    folder: SafeDirectory,
    name: string,
    partName: string,
    fd: number,
    unlock?: () => void
  ) {
    this.folder = folder
    this.name = name
    this.partName = partName
    this.fd = fd
    this.#isShared = unlock !== undefined
    this.#unlock = unlock ?? (() => {})
    const { dev, ino } = fstatSync(fd)
    this.dev = dev
    this.#ino = ino
    folder.pins++
  }

  /** How much of it there is. */
  get length(): number {
    return fstatSync(this.fd).size
  }

  /** What stands behind so many bytes is of no use. */
  truncate(length: number): void {
    if (this.length > length) ftruncateSync(this.fd, length)
  }

  /** What a file has besides its bytes. */
  applyAttributes({ size, mode, mtime }: Entry, length = this.length): void {
    // One that ends with zeros has not got that far.
    if (length !== size) ftruncateSync(this.fd, size)
    fchmodSync(this.fd, mode)
    futimesSync(this.fd, toFileTime(mtime), toFileTime(mtime))
  }

  /** The descriptor goes; the file stays. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.fd)
  }

  /** It is not wanted any more. */
  discard(): void {
    this.close()
    remove(this.folder, this.partName)
    this.release()
  }

  /** It is not finished: kept where another session can go on with it. */
  keepOrDiscard(): void {
    if (this.#released) return
    if (
      Names.parsePartialName(this.partName)?.kind === "1" &&
      (lstatIfExists(this.folder, this.partName)?.size ?? 0) > 0
    )
      this.release()
    else this.discard()
  }

  /** This session has no more to do with it. */
  release(): void {
    if (this.#released) return
    this.#released = true
    this.close()
    this.folder.pins--
    this.#unlock()
  }

  /** The file takes its place, in one step and never over something; with `over`, over a file that is there. Throws EEXIST. */
  commit(name: string, over: boolean): void {
    const [from, to] = [this.folder.pathOf(this.partName), this.folder.pathOf(name)]
    // Whoever cleared it away may have begun another; nobody has the random name of this session's own.
    if (this.#isShared && lstatIfExists(this.folder, this.partName)?.ino !== this.#ino)
      throw Object.assign(new Error("it is gone"), { code: "EMOVED" })
    if (over) return renameSync(from, to)
    try {
      linkSync(from, to)
    } catch (cause) {
      const { code = "" } = cause as NodeJS.ErrnoException
      if (!noLinks.has(code)) throw cause
      if (lstatIfExists(this.folder, name) !== undefined)
        throw Object.assign(new Error("it is there"), { code: "EEXIST" })
      return renameSync(from, to)
    }
    unlinkSync(from)
  }
}

/** A file system that knows no second name of a file. */
const noLinks: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])

/** What is there; undefined for nothing. */
export const lstatIfExists = (folder: SafeDirectory, name: string): Stats | undefined =>
  lstatSync(folder.pathOf(name), { throwIfNoEntry: false })

/** In microseconds, as a manifest has it: `mtimeMs` is too short for that. */
export const mtimeMicros = (folder: SafeDirectory, name: string): number =>
  Number(lstatSync(folder.pathOf(name), { bigint: true }).mtimeNs / 1000n)

const remove = (folder: SafeDirectory, name: string): void => {
  try {
    unlinkSync(folder.pathOf(name))
  } catch {
    // Gone, or not ours to remove.
  }
}

/** Random bytes for many names: to ask for a few costs as much as to ask for many. */
let random = Buffer.alloc(0)
const randomSource = (): string => {
  if (random.length < 8) random = randomBytes(4096)
  const source = random.toString("hex", 0, 8).slice(1)
  random = random.subarray(8)
  return source
}

/** A new one, of use to this session alone. */
export const create = (folder: SafeDirectory, name: string, tag: string): PartialFile => {
  const partName = Names.partialName(name, tag, "0", randomSource())
  return new PartialFile(
    folder,
    name,
    partName,
    openSync(folder.pathOf(partName), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)
  )
}

/** What the unfinished file of a source is called, which another session can go on with. */
export const resumableName = (name: string, tag: string, entry: Entry): string =>
  Names.partialName(name, tag, "1", sourceOf(entry))

/** The one that an earlier session left of this source, or a new one; undefined while another session has it. */
export const openResumable = (
  folder: SafeDirectory,
  name: string,
  tag: string,
  entry: Entry
): Effect.Effect<PartialFile | undefined, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const partName = resumableName(name, tag, entry)
    const at = folder.pathOf(partName)
    const fd = yield* attempt(() => {
      try {
        return openSync(at, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause
        return openSync(at, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)
      }
    })
    const stats = fstatSync(fd)
    const { dev, ino, size, nlink } = stats
    if (!stats.isFile() || stats.uid !== (process.geteuid?.() ?? stats.uid)) {
      closeSync(fd)
      return undefined
    }
    const unlock = yield* PartialFileLock.take(dev, ino)
    // Between its opening and the lock it may have got its place.
    const now = lstatIfExists(folder, partName)
    if (unlock === undefined || now?.ino !== ino || now.dev !== dev || nlink !== 1) {
      closeSync(fd)
      unlock?.()
      return undefined
    }
    if (size > entry.size) ftruncateSync(fd, 0)
    return new PartialFile(folder, name, partName, fd, unlock)
  })

/** A file that is there already, to be compared; undefined when it is none. */
export const openExisting = (folder: SafeDirectory, name: string): number | undefined => {
  const fd = openSync(folder.pathOf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  return undefined
}

/** Removes what earlier sessions of this peer have left of `names` in a folder and nobody can go on with. */
export const removeLeftovers = (
  folder: SafeDirectory,
  names: Iterable<string>,
  tag: string
): void => {
  const now = Date.now()
  for (const name of names) {
    const part = Names.parsePartialName(name)
    if (part === undefined || part.peer !== tag || part.kind !== "0") continue
    const stats = lstatIfExists(folder, name)
    if (stats !== undefined && stats.isFile() && now - stats.ctimeMs > limits.leftoverMillis)
      remove(folder, name)
  }
}

/** Removes what is left of other sources of the same name: they are not what is sent now. */
export const removeOtherVersions = (
  folder: SafeDirectory,
  present: Iterable<string>,
  name: string,
  tag: string,
  entry: Entry
): void => {
  const own = resumableName(name, tag, entry)
  const stem = Names.parsePartialName(own)?.name
  for (const other of present) {
    const part = Names.parsePartialName(other)
    if (part?.peer === tag && part.kind === "1" && part.name === stem && other !== own)
      remove(folder, other)
  }
}

/** A small file, in one go. */
export const writeSmall = (part: PartialFile, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length;) at += writeSync(part.fd, bytes, at, bytes.length - at, at)
}

export const readSmall = (fd: number, size: number): Buffer | undefined => {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0; at < size;) {
    const read = readSync(fd, bytes, at, size - at, at)
    if (read === 0) return undefined
    at += read
  }
  return bytes
}
