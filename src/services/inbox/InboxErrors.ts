import * as Data from "effect/Data"

/** The inbox did not take messages, or could not be read: nothing was changed that was not said. */
export class InboxRefused extends Data.TaggedError("InboxRefused")<{
  /** A clause for the log: "the disk is full". */
  readonly reason: string
  /** True when the same may succeed another time. */
  readonly retry: boolean
  /** How many of the messages, from the first, were taken all the same. Default: none. */
  readonly handled?: number
}> {
  override get message(): string {
    return `the inbox cannot be used now: ${this.reason}${this.retry ? "; try again later" : ""}`
  }
}

/** There is no such inbox, or it is none of ours. */
export class InboxUnusable extends Data.TaggedError("InboxUnusable")<{
  /** The file, or the URL without its password. */
  readonly inbox: string
  /** A clause, with the next step where there is one. */
  readonly reason: string
}> {
  override get message(): string {
    return `the inbox ${this.inbox} cannot be used: ${this.reason}`
  }
}
