import * as Data from "effect/Data"
import type { Receipt } from "./Receipt.ts"

/** The server could not take the message, and said so: it was not handled. */
export class NotTaken extends Data.TaggedError("NotTaken")<{
  readonly server: string
  readonly handled: number
  readonly status: Exclude<Receipt["status"], "handled" | "reply" | "reply lost">
}> {
  override get message(): string {
    return `${this.server} refused the message${reasons[this.status]}; ${this.handled} before it were handled`
  }
  /** Only the status `later` is temporary; a rule or a limit is not. */
  get transient(): boolean {
    return this.status === "later"
  }
}

const reasons: Readonly<Record<NotTaken["status"], string>> = {
  refused: "",
  limited: " (its rules allow our key no more in a minute; try again later)",
  later: " (it cannot take any now: it was not stored; try again later)",
  "no replies": " (it gives no replies; what asks for none it takes)"
}

/** The message was handled; its reply came to nobody, and the server does not have it any more. */
export class ReplyLost extends Data.TaggedError("ReplyLost")<{
  readonly server: string
  /** Which message it was, from 1. */
  readonly number: number
}> {
  override get message(): string {
    return `${this.server} has handled message ${this.number.toLocaleString("en-US")}, and its reply is lost: the connection was lost before it came, and it is not kept any more`
  }
}

/** A message exceeds the limit of the protocol or of the other side; nothing was sent. */
export class MessageTooLong extends Data.TaggedError("MessageTooLong")<{
  readonly bytes: number
  /** The limit, in bytes. */
  readonly limit: number
  /** The clause that introduces the limit: "a message has at most". */
  readonly detail: string
  /** The next step, if there is one. */
  readonly hint?: string
}> {
  override get message(): string {
    const next = this.hint === undefined ? "" : `; ${this.hint}`
    return `the message has ${grouped(this.bytes)} bytes, and ${this.detail} ${grouped(this.limit)}${next}`
  }
}

const grouped = (count: number): string => count.toLocaleString("en-US")
