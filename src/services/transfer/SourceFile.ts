// Opens the files to send one by one, and tells whether they are still as they were listed. Nothing
// but files is ever opened: a device or a FIFO could block for ever. TRANSFER.md section 5.
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from "node:fs"
import * as Effect from "effect/Effect"
import { writeBack } from "../../files/writeBack.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { LeftOutReason } from "./Messages.ts"
import type { SafeDirectories } from "./SafeDirectory.ts"
import type { SafePath } from "./SafePath.ts"

/** An entry and its location on this side's disk. */
export interface SourceEntry {
  readonly entry: Entry
  readonly directories: SafeDirectories
  /** Path below `directories`. */
  readonly source: SafePath
  readonly version: SourceVersion
}

/** What changes with a file besides its size and its mtime, which programs set back. */
export interface SourceVersion {
  readonly inode: bigint
  /** The ctime in nanoseconds: only the system sets it. */
  readonly changed: bigint
}

export const versionOf = ({ ino, ctimeNs }: BigIntStats): SourceVersion => ({
  inode: ino,
  changed: ctimeNs
})

/** Returns the time of modification in microseconds. */
export const mtimeMicros = (stats: BigIntStats): number => Number(stats.mtimeNs / 1000n)

/** An open source file, in the state in which it was listed. */
export interface OpenSource {
  readonly fd: number
  /** True if size, times and inode are still those of the entry. */
  readonly isUnchanged: () => boolean
  readonly close: () => void
}

/** Does not follow a link, and does not wait for the writer of a FIFO. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Opens a source file; returns the reason if it can no longer be sent. A file that takes more than
 * one read is written back first, so that writes through a memory map meanwhile show in its ctime.
 */
export const openSource = (source: SourceEntry): Effect.Effect<OpenSource | LeftOutReason> =>
  Effect.suspend(() => {
    const { entry, directories, source: at } = source
    let fd: number
    try {
      fd = openSync(directories.get(at.parent).pathOf(at.name), readFlags)
    } catch (cause) {
      return Effect.succeed(reasonOf(cause))
    }
    const check = () => checked(fd, source)
    return entry.size <= protocolLimits.pieceBytes
      ? Effect.succeed(check())
      : Effect.onInterrupt(Effect.map(writeBack(fd), check), () => Effect.sync(() => closeSync(fd)))
  })

/** Returns the open file if it is as it was listed; closes it otherwise. */
const checked = (fd: number, { entry, version }: SourceEntry): OpenSource | LeftOutReason => {
  const isUnchanged = () => {
    const stats = fstatSync(fd, { bigint: true })
    return (
      stats.isFile() &&
      Number(stats.size) === entry.size &&
      mtimeMicros(stats) === entry.mtime &&
      stats.ino === version.inode &&
      stats.ctimeNs === version.changed
    )
  }
  const problem = isUnchanged() ? excessProblem(fd, entry.size) : "changed"
  if (problem === undefined) return { fd, isUnchanged, close: () => closeSync(fd) }
  closeSync(fd)
  return problem
}

/**
 * Returns the time in milliseconds after its listing from which every change of a file gives it
 * another ctime: changes within one tick of the file system's clock have the same one.
 */
export const tickOf = ({ changed }: SourceVersion): number =>
  changed % 1_000_000_000n === 0n ? limits.wholeSecondTickMillis : limits.fileTickMillis

/** Finds content behind the stated size, which files of /proc have: they would be cut silently. */
const excessProblem = (fd: number, size: number): LeftOutReason | undefined => {
  try {
    return readSync(fd, oneByte, 0, 1, size) === 0 ? undefined : "unreadable"
  } catch {
    return "unreadable"
  }
}

const oneByte = Buffer.alloc(1)

const reasons: Readonly<Record<string, LeftOutReason>> = {
  ENOENT: "missing",
  ELOOP: "changed",
  EILSEQ: "name"
}

/** Returns the reason for which a file that cannot be opened is left out. */
export const reasonOf = (cause: unknown): LeftOutReason => {
  const { code } = cause as NodeJS.ErrnoException
  return reasons[code ?? ""] ?? "unreadable"
}
