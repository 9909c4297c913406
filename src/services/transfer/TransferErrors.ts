import { shown } from "../../bytes/excerpt.ts"
import * as Data from "effect/Data"
import type { DurationInput } from "effect/Duration"
import * as RealPath from "../../keys/RealPath.ts"
import { limits, protocolLimits } from "./limits.ts"
import type { Kind } from "./Manifest.ts"
import type { StopReason } from "./Messages.ts"

/** The side on which an error occurred: this one, or the peer's. */
export type Side = "here" | "there"

/** The clause for a transfer that was cut off; the receiver keeps what has a receipt, and blocks. */
export const resume =
  "complete files and 8 MiB blocks of larger ones are kept: transfer again to resume"

/** A disk of this side is full or failed. */
export class DiskFailed extends Data.TaggedError("DiskFailed")<{
  /** The file or folder, for display. */
  readonly path: string
  /** Code of the system: ENOSPC, EACCES … */
  readonly code: string
  /** True for the disk of a receiver, which keeps what is complete. Default: false. */
  readonly isReceiver?: boolean
}> {
  override get message(): string {
    return `${shown(this.path)}: ${this.nameless}`
  }
  /** The message without the path, for traces and metrics, which must not contain file names. */
  get nameless(): string {
    const clause = clauseOf(this.code)
    return this.isReceiver === true && isFull(this.code) ? `${clause}; ${resume}` : clause
  }
}

const clauses: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the disk",
  EDQUOT: "disk quota exceeded",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "read-only file system",
  ENOENT: "no such file or folder",
  ENOFOLDER: "no such folder; create it first",
  ENOTDIR: "part of the path is not a folder",
  EISDIR: "is a folder",
  ELOOP: "a symbolic link is in the way, and links are not followed",
  EILSEQ: RealPath.notUtf8,
  EMOVED: "a folder was replaced during the transfer"
}

/** Returns the clause for a code of the system. */
export const clauseOf = (code: string): string => clauses[code] ?? `disk error ${code}`

/** True for the codes of a full disk. */
export const isFull = (code: string): boolean => code === "ENOSPC" || code === "EDQUOT"

/** Makes a DiskFailed from a system error. */
export const diskFailed =
  (path: string) =>
  (cause: unknown): DiskFailed =>
    new DiskFailed({ path, code: (cause as NodeJS.ErrnoException).code ?? String(cause) })

/** Makes a DiskFailed for the disk of a receiver. */
export const receiverFailed =
  (path: string) =>
  (cause: unknown): DiskFailed =>
    new DiskFailed({ path, code: diskFailed(path)(cause).code, isReceiver: true })

/** Makes a DiskFailed for a folder that this side's user named. */
export const folderFailed =
  (path: string) =>
  (cause: unknown): DiskFailed => {
    const failed = diskFailed(path)(cause)
    return failed.code === "ENOENT" ? new DiskFailed({ path, code: "ENOFOLDER" }) : failed
  }

/** One side stopped the transfer with a STOP frame. The receiver keeps the data. */
export class TransferStopped extends Data.TaggedError("TransferStopped")<{
  readonly peer: string
  readonly reason: StopReason
  readonly side: Side
}> {
  override get message(): string {
    return stopSentences[this.reason](this.peer)
  }
  /** True for a server that is shutting down: the one after it takes the rest. */
  get transient(): boolean {
    return this.reason === "goingAway"
  }
}

const stopSentences: Readonly<Record<StopReason, (peer: string) => string>> = {
  diskFull: (peer) => `no space left on the disk of ${peer}; ${resume}`,
  goingAway: (peer) => `${peer} is shutting down; ${resume}`,
  forbidden: (peer) =>
    `permission denied by ${peer}; your line in its authorized_peers must allow it: ` +
    `"access" to read or write, "overwrite" to replace files`,
  tooMuch: (peer) =>
    `too many files for one transfer (limit of ${peer}: ` +
    `${protocolLimits.entries.toLocaleString("en-US")}, and fewer while other transfers of the ` +
    `same key run); transfer them in parts, or later`,
  diskFailed: (peer) => `the disk of ${peer} failed; its log has the reason`,
  notFound: (peer) => `not found on ${peer}`
}

/**
 * Another session holds the partial file that this one was to resume; it may be one whose lost
 * connection has not been detected yet.
 */
export class TransferBusy extends Data.TaggedError("TransferBusy")<{ readonly path: string }> {
  override get message(): string {
    const path = shown(this.path)
    return `${path}: another transfer of this file is in progress; try again later`
  }
  /** The other session ends, or its lost connection is detected. */
  get transient(): boolean {
    return true
  }
  get patience(): DurationInput {
    return limits.busyPatience
  }
}

/**
 * The step after which the missing entries can arrive: the same transfer again, a change by the
 * user, or a change of the peer's rules.
 */
export type NextStep = "again" | "change" | "rules"

/** The number of entries of a kind, and the number of those that did not arrive. */
export interface EntryCount {
  readonly kind: Kind
  readonly total: number
  readonly failed: number
}

/** Some entries did not arrive. */
export class TransferIncomplete extends Data.TaggedError("TransferIncomplete")<{
  /** The kinds of which some did not arrive. What is missing altogether counts as a file. */
  readonly counts: ReadonlyArray<EntryCount>
  readonly next: NextStep
  /** True for a dry run, in which nothing was to arrive. */
  readonly dry: boolean
  /** Path and reason of the first that did not arrive. */
  readonly first: string
}> {
  override get message(): string {
    const { counts, dry } = this
    const failed = counts.reduce((sum, count) => sum + count.failed, 0)
    const first = failed === 1 ? `: ${shown(this.first)}` : `; first: ${shown(this.first)}`
    const phrases = counts.map(({ kind, total, failed }) => {
      const of = dry ? "" : `${failed.toLocaleString("en-US")} of `
      const count = dry ? failed : total
      return `${of}${count.toLocaleString("en-US")} ${kind}${count === 1 ? "" : "s"}`
    })
    return `${phrases.join(", ")} ${dry ? "would fail" : "failed"}${first}`
  }
}

/** A file or folder to transfer does not exist or cannot be sent. */
export class SourceRefused extends Data.TaggedError("SourceRefused")<{
  readonly path: string
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.path)}: ${this.detail}`
  }
}
