import * as Data from "effect/Data"
import { shown } from "../../bytes/excerpt.ts"

/** An operation on an inbox failed. Messages beyond `handled` were not changed. */
export class InboxRefused extends Data.TaggedError("InboxRefused")<{
  /** A clause for the log: "the disk is full". */
  readonly reason: string
  /** True when the same operation may succeed later. */
  readonly retry: boolean
  /**
   * Number of messages, from the first, that were stored or handled before the failure. Default: 0.
   */
  readonly handled?: number
  /**
   * True when the inbox must be opened again: its file was moved, replaced or deleted. Default:
   * false.
   */
  readonly isGone?: boolean
}> {
  override get message(): string {
    const mayWait = this.retry && this.isGone !== true
    return `inbox unavailable: ${this.reason}${mayWait ? "; try again later" : ""}`
  }
}

/** An inbox cannot be opened: it does not exist, or it is not an inbox. */
export class InboxUnusable extends Data.TaggedError("InboxUnusable")<{
  /** The file, or the URL without its password. */
  readonly inbox: string
  /** A clause, with the next step if there is one. */
  readonly reason: string
}> {
  override get message(): string {
    return `cannot open the inbox ${shown(this.inbox)}: ${this.reason}`
  }
}
