import * as Data from "effect/Data"
import * as Printable from "../../bytes/Printable.ts"
import type { StopReason } from "./Messages.ts"

/** Where the trouble was: on this side, or as the peer says. */
type Side = "here" | "there"

/** A disk that is full, or does not do what it should. */
export class DiskFailed extends Data.TaggedError("DiskFailed")<{
  /** The file or folder, as people know it. */
  readonly path: string
  /** The system's code: ENOSPC, EACCES … */
  readonly code: string
}> {
  override get message(): string {
    return `${Printable.line(this.path)}: ${this.nameless}`
  }
  /** For a collector, which learns no names. */
  get nameless(): string {
    return clauseOf(this.code)
  }
}

const clauses: Readonly<Record<string, string>> = {
  ENOSPC:
    "the disk is full; what arrived is kept, and the same command goes on with it when there is room",
  EDQUOT:
    "this user's share of the disk is full; what arrived is kept, and the same command goes on with it when there is room",
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "the disk is read-only",
  ENOENT: "it is not there",
  ENOFOLDER: "there is no such folder; make it first",
  ENOTDIR: "a folder on the way to it is none",
  EISDIR: "it is a folder",
  ELOOP: "a symbolic link stands in the way, and none is followed",
  EMOVED: "a folder was replaced while it was used"
}

export const clauseOf = (code: string): string => clauses[code] ?? `the disk refused (${code})`

/** True for a disk that takes no more. */
export const isFull = (code: string): boolean => code === "ENOSPC" || code === "EDQUOT"

export const diskFailed =
  (path: string) =>
  (cause: unknown): DiskFailed =>
    new DiskFailed({ path, code: (cause as NodeJS.ErrnoException).code ?? String(cause) })

/** A folder that this side's user has named. */
export const folderFailed =
  (path: string) =>
  (cause: unknown): DiskFailed => {
    const failed = diskFailed(path)(cause)
    return failed.code === "ENOENT" ? new DiskFailed({ path, code: "ENOFOLDER" }) : failed
  }

/** The peer goes no further with this transfer, and says why. What it has is kept. */
export class TransferStopped extends Data.TaggedError("TransferStopped")<{
  readonly peer: string
  readonly reason: StopReason
  readonly side: Side
}> {
  override get message(): string {
    return stopSentences[this.reason](this.peer)
  }
  /** A server that restarts takes the rest of the transfer later. */
  get transient(): boolean {
    return this.reason === "leaving"
  }
}

const stopSentences: Readonly<Record<StopReason, (peer: string) => string>> = {
  full: (peer) =>
    `the disk of ${peer} is full; what arrived is kept, and the same command goes on with it when there is room`,
  leaving: (peer) =>
    `${peer} is going down; what arrived is kept, and the same command goes on with it`,
  access: (peer) => `the rules of ${peer} for our key do not allow this; ask who runs it`,
  many: (peer) => `this is more than one transfer may have, says ${peer}; send it in several parts`,
  disk: (peer) => `the disk of ${peer} refused; who runs it finds more in its log`,
  none: (peer) => `${peer} has nothing of that name`
}

/** Another session goes on with a file that was to be gone on with; it may be one whose connection was lost, and nobody has noticed yet. */
export class TransferBusy extends Data.TaggedError("TransferBusy")<{ readonly path: string }> {
  override get message(): string {
    return `${Printable.line(this.path)}: another transfer of the same file is under way`
  }
  /** A later attempt may succeed. */
  get transient(): boolean {
    return true
  }
}

export type NextStep = "again" | "change" | "rules"

/** Not everything arrived. */
export class TransferIncomplete extends Data.TaggedError("TransferIncomplete")<{
  readonly done: number
  readonly left: number
  /** What must happen before the rest can arrive: the same command again, something that the person changes, or other rules of the peer. */
  readonly next: NextStep
  /** Of a trial run: nothing arrived because nothing was to. */
  readonly dry: boolean
  /** The first that did not, and why, in a clause. */
  readonly first: string
}> {
  override get message(): string {
    if (this.dry)
      return `${this.left.toLocaleString("en-US")} would not arrive; the first: ${this.first}`
    const [done, left] = [this.done, this.left].map((count) => count.toLocaleString("en-US"))
    return `${done} arrived, and ${left} did not; the first: ${this.first}`
  }
}

/** What is to be sent is not there, or cannot be sent. */
export class SourceRefused extends Data.TaggedError("SourceRefused")<{
  readonly path: string
  readonly detail: string
}> {
  override get message(): string {
    return `${Printable.line(this.path)}: ${this.detail}`
  }
}
