// A file that is being received: `NAME.….part` beside its destination, renamed to NAME when its
// content is complete and flushed. TRANSFER.md sections 5 and 6.
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
import { umask } from "./umask.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import * as Names from "./Names.ts"
import * as PartialFileLock from "./PartialFileLock.ts"
import { costOf, noCharge, type Charge } from "./Quotas.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/** Returns the tag in the names of a peer's partial files; files with other tags stay untouched. */
export const peerTag = (peer: string | Uint8Array): string =>
  createHash("sha256").update(peer).digest("hex").slice(0, 8)

/** Identifies a version of a source file: another size or time makes it another source. */
const sourceId = ({ path, size, mtime }: Entry): string =>
  createHash("sha256").update(`${path.text}\0${size}\0${mtime}`).digest("hex").slice(0, 15)

/** True if a later session can resume the file: it has more than one block. */
export const isResumable = ({ size }: Entry): boolean => size > protocolLimits.blockBytes

/**
 * Converts microseconds to a time for futimes. Node truncates seconds to microseconds, so the
 * middle of the microsecond is passed. A time before 1970 is passed as text: Node replaces a
 * negative number by the current time.
 */
export const toFileTime = (micros: number): number | string =>
  micros < 0 ? String((micros - 0.5) / 1e6) : (micros + 0.5) / 1e6

export class PartialFile {
  readonly fd: number
  readonly directory: SafeDirectory
  /** Its present name. */
  readonly partialName: string
  /** The name it is to get. */
  readonly name: string
  readonly #dev: number
  readonly #ino: number
  readonly #unlock: () => void
  /** Another session may find it: it can be resumed, or removed and started again. */
  readonly #isShared: boolean
  /** The reservation of a quota, which its end settles. */
  charge: Charge = noCharge
  /** Quota cost that it had when it was opened; 0 if it was created. */
  readonly costBefore: number
  #isOpen = true
  #isReleased = false

  constructor(
    directory: SafeDirectory,
    name: string,
    partialName: string,
    fd: number,
    unlock?: () => void,
    costBefore = 0
  ) {
    this.costBefore = costBefore
    this.directory = directory
    this.name = name
    this.partialName = partialName
    this.fd = fd
    this.#isShared = unlock !== undefined
    this.#unlock = unlock ?? (() => {})
    const { dev, ino } = fstatSync(fd)
    this.#dev = dev
    this.#ino = ino
    live.add(`${dev}:${ino}`)
    directory.pins++
  }

  /** Its status on the disk; undefined if it was removed, or replaced by another session. */
  get #status(): Stats | undefined {
    const stats = lstatIfExists(this.directory, this.partialName)
    return stats?.ino === this.#ino && stats.dev === this.#dev ? stats : undefined
  }

  /** Its length in bytes. */
  get length(): number {
    return fstatSync(this.fd).size
  }

  /** Cuts the file if it is longer. */
  truncate(length: number): void {
    if (this.length > length) ftruncateSync(this.fd, length)
  }

  /** Sets size, mode and time of a file whose content is complete. */
  applyAttributes({ size, mode, mtime }: Entry, length = this.length): void {
    // Zeros at the end are not written; the file is extended instead.
    if (length !== size) ftruncateSync(this.fd, size)
    fchmodSync(this.fd, mode & ~umask)
    futimesSync(this.fd, toFileTime(mtime), toFileTime(mtime))
  }

  /** Closes the descriptor; the file and its lock stay. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeSync(this.fd)
  }

  /** Removes the file. */
  discard(): void {
    this.close()
    // Another session may have removed the file, and made one of its own under the same name.
    if (!this.#isShared || this.#status !== undefined)
      unlinkIfPossible(this.directory, this.partialName)
    this.charge.settle(0)
    this.release()
  }

  /** Ends work on an incomplete file: keeps it if a later session can resume it, or removes it. */
  keepOrDiscard(): void {
    if (this.#isReleased) return
    const size = this.#isShared ? (this.#status?.size ?? 0) : 0
    if (size === 0) return this.discard()
    this.charge.settle(costOf(size))
    this.release()
  }

  /** Closes the file and unlocks it. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.close()
    live.delete(`${this.#dev}:${this.#ino}`)
    this.#unlock()
    this.directory.pins--
  }

  /**
   * Gives the file its name in one atomic step. Throws EEXIST if the name is taken, unless
   * `overwrite` is set, and EMOVED if another session has replaced the partial file.
   */
  commit(name: string, overwrite: boolean): void {
    const [from, to] = [this.directory.pathOf(this.partialName), this.directory.pathOf(name)]
    const hasQuota = this.charge !== noCharge
    const status = this.#isShared || hasQuota ? this.#status : undefined
    // Only a shared name can have been removed and created again: the others are random.
    if (this.#isShared && status === undefined)
      throw Object.assign(new Error("the partial file was replaced"), { code: "EMOVED" })
    const replaced = overwrite && hasQuota ? lstatIfExists(this.directory, name) : undefined
    giveName(this, name, from, to, overwrite)
    const replacedCost = replaced === undefined ? 0 : costOfStatus(replaced)
    this.charge.settle(costOf(status?.size ?? 0) - replacedCost)
  }
}

const giveName = (
  { directory }: PartialFile,
  name: string,
  from: string,
  to: string,
  overwrite: boolean
): void => {
  if (overwrite) return renameSync(from, to)
  try {
    linkSync(from, to)
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException
    if (!noHardLinks.has(code)) throw cause
    if (lstatIfExists(directory, name) !== undefined)
      throw Object.assign(new Error("the name is taken"), { code: "EEXIST" })
    return renameSync(from, to)
  }
  unlinkSync(from)
}

/** Returns the quota cost of what exists. */
export const costOfStatus = (stats: Stats): number => costOf(stats.isFile() ? stats.size : 0)

/** Device and inode of the partial files that this process has open or waits to flush. */
const live = new Set<string>()

/** Codes of a file system without hard links. */
const noHardLinks: ReadonlySet<string> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK"
])

/** Returns the status of an entry, without following a link; undefined if there is none. */
export const lstatIfExists = (directory: SafeDirectory, name: string): Stats | undefined =>
  lstatSync(directory.pathOf(name), { throwIfNoEntry: false })

/** Returns the time of modification in microseconds: `mtimeMs` has too few digits for that. */
export const mtimeMicros = (directory: SafeDirectory, name: string): number =>
  Number(lstatSync(directory.pathOf(name), { bigint: true }).mtimeNs / 1000n)

/** Returns false for a file that another session has removed, or that is not ours to remove. */
const unlinkIfPossible = (directory: SafeDirectory, name: string): boolean => {
  try {
    unlinkSync(directory.pathOf(name))
    return true
  } catch {
    return false
  }
}

/** Random bytes for many names: a small request costs as much as a large one. */
let random = Buffer.alloc(0)
const randomSource = (): string => {
  if (random.length < 8) random = randomBytes(4096)
  const source = random.toString("hex", 0, 8).slice(1)
  random = random.subarray(8)
  return source
}

/** Creates a partial file under a random name, for this session only. */
export const create = (directory: SafeDirectory, name: string, tag: string): PartialFile => {
  const partialName = Names.partialName(name, tag, "0", randomSource())
  return new PartialFile(
    directory,
    name,
    partialName,
    openSync(directory.pathOf(partialName), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)
  )
}

/** Returns the name of the partial file of a source, under which a later session finds it. */
export const resumableName = (name: string, tag: string, entry: Entry): string =>
  Names.partialName(name, tag, "1", sourceId(entry))

/**
 * Opens and locks the partial file that an earlier session left of this source, or creates it.
 * Returns `held` while another session holds it, and `unusable` for a file that is not ours.
 */
export const openResumable = (
  directory: SafeDirectory,
  name: string,
  tag: string,
  entry: Entry,
  holder?: PartialFileLock.Holder
): Effect.Effect<PartialFile | "held" | "unusable", NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const partialName = resumableName(name, tag, entry)
    const file = directory.pathOf(partialName)
    let wasThere = true
    const fd = yield* attempt(() => {
      try {
        return openSync(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause
        wasThere = false
        return openSync(file, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)
      }
    })
    const stats = fstatSync(fd)
    const { dev, ino, size, nlink } = stats
    if (!stats.isFile() || stats.uid !== (process.geteuid?.() ?? stats.uid)) {
      closeSync(fd)
      return "unusable"
    }
    const unlock = yield* Effect.onError(
      PartialFileLock.lock(directory, { dev, ino }, holder),
      () => Effect.sync(() => closeSync(fd))
    )
    // Between open and lock another session may have committed or replaced it.
    const current = lstatIfExists(directory, partialName)
    const isCurrent = current?.ino === ino && current.dev === dev
    if (unlock === undefined || !isCurrent || nlink !== 1) {
      closeSync(fd)
      // A session that was killed between the two steps of a commit has left the file both names.
      if (unlock !== undefined && isCurrent) unlinkIfPossible(directory, partialName)
      unlock?.()
      return "held"
    }
    if (size > entry.size) ftruncateSync(fd, 0)
    return new PartialFile(directory, name, partialName, fd, unlock, wasThere ? costOf(size) : 0)
  })

/** Opens an existing file to compare it; undefined if it is not a regular file. */
export const openExisting = (directory: SafeDirectory, name: string): number | undefined => {
  const fd = openSync(directory.pathOf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  return undefined
}

/** Called with the quota cost of a removed file that no session was writing. */
type OnRemoved = (cost: number) => void

/**
 * Removes, among the names, the abandoned partial files of this peer that cannot be resumed, and
 * the locks of sessions that have ended.
 */
export const removeLeftovers = (
  directory: SafeDirectory,
  names: ReadonlyArray<string>,
  tag: string,
  onRemoved: OnRemoved = () => {}
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.zipRight(
    attempt(() => removeAbandoned(directory, names, tag, onRemoved)),
    PartialFileLock.removeStale(directory, names)
  )

const removeAbandoned = (
  directory: SafeDirectory,
  names: ReadonlyArray<string>,
  tag: string,
  onRemoved: OnRemoved
): void => {
  const now = Date.now()
  for (const name of names) {
    const partial = Names.parsePartialName(name)
    if (partial === undefined || partial.peer !== tag || partial.kind !== "0") continue
    const stats = lstatIfExists(directory, name)
    if (stats?.isFile() !== true || live.has(`${stats.dev}:${stats.ino}`)) continue
    if (now - stats.ctimeMs > limits.leftoverMillis && unlinkIfPossible(directory, name))
      onRemoved(costOf(stats.size))
  }
}

/**
 * Removes those of the names that are partial files of other versions of the same source, unless
 * another session is writing them.
 */
export const removeOtherVersions = (
  directory: SafeDirectory,
  names: Iterable<string>,
  name: string,
  tag: string,
  entry: Entry,
  onRemoved: OnRemoved = () => {}
): Effect.Effect<void, NodeJS.ErrnoException> => {
  const current = resumableName(name, tag, entry)
  const stem = Names.parsePartialName(current)?.name
  const others = [...names].filter((other) => {
    const partial = Names.parsePartialName(other)
    return (
      partial?.peer === tag && partial.kind === "1" && partial.name === stem && other !== current
    )
  })
  return Effect.forEach(others, (other) => removeUnlocked(directory, other, onRemoved), {
    discard: true
  })
}

const removeUnlocked = (
  directory: SafeDirectory,
  name: string,
  onRemoved: OnRemoved
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const found = lstatIfExists(directory, name)
    if (found === undefined) return
    const unlock = yield* PartialFileLock.lock(directory, found)
    if (unlock === undefined) return
    // Another session may have finished it meanwhile and begun a new one.
    const current = lstatIfExists(directory, name)
    if (current?.ino === found.ino && unlinkIfPossible(directory, name))
      onRemoved(costOfStatus(current))
    unlock()
  }).pipe(Effect.uninterruptible)

/** Writes the content of a small file in one synchronous call. */
export const writeSmall = ({ fd }: PartialFile, bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length;)
    done += writeSync(fd, bytes, done, bytes.length - done, done)
}

/** Reads the content of a small file in one synchronous call; undefined if it is shorter. */
export const readSmall = (fd: number, size: number): Buffer | undefined => {
  const bytes = Buffer.allocUnsafe(size)
  for (let done = 0; done < size;) {
    const read = readSync(fd, bytes, done, size - done, done)
    if (read === 0) return undefined
    done += read
  }
  return bytes
}
