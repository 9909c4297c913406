import * as Data from "effect/Data"
import type { Receipt } from "./Receipt.ts"

/** The handler refused a message. The message was not handled, and the client's receipt says so. */
export class MessageRefused extends Data.TaggedError("MessageRefused")<{
  /** A clause for the server's log: "the disk is full". */
  readonly reason: string
  /** True when the message may be sent again later. Default: false. */
  readonly retry?: boolean
  /**
   * Number of messages of the batch, from its first, that were handled: they are acknowledged, and
   * the next one is refused. Default: 0.
   */
  readonly handled?: number
  /** True when the message requests a reply and this server gives none. Default: false. */
  readonly noReplies?: boolean
}> {
  override get message(): string {
    return `message refused: ${this.reason}`
  }
  /** The status of the receipt that the client gets. */
  get status(): NotTaken["status"] {
    if (this.noReplies === true) return "no replies"
    return this.retry === true ? "later" : "refused"
  }
}

/** The server refused a message. The message was not handled. */
export class NotTaken extends Data.TaggedError("NotTaken")<{
  readonly server: string
  /** Number of messages that were handled before it. */
  readonly handled: number
  readonly status: Exclude<Receipt["status"], "handled" | "reply" | "reply lost">
}> {
  override get message(): string {
    return `${this.server} refused the message${reasons[this.status]}; messages handled before it: ${grouped(this.handled)}`
  }
  /** Only the status `later` is temporary; a rule or a limit is not. */
  get transient(): boolean {
    return this.status === "later"
  }
}

const reasons: Readonly<Record<NotTaken["status"], string>> = {
  refused: "",
  limited: " (a limit of this key is reached, per minute or of memory; try again later)",
  later: " (it cannot store messages at the moment; try again later)",
  "no replies": " (it gives no replies; send the message without requesting one)"
}

/** The message was handled, but its reply did not arrive, and the server no longer has it. */
export class ReplyLost extends Data.TaggedError("ReplyLost")<{
  readonly server: string
  /** The number of the message in its session, from 1. */
  readonly number: number
}> {
  override get message(): string {
    return `${this.server} handled message ${grouped(this.number)}, but its reply is lost: the connection failed before it arrived, and the server no longer has it`
  }
}

/** A message exceeds the limit of the protocol or of the other side; nothing was sent. */
export class MessageTooLong extends Data.TaggedError("MessageTooLong")<{
  readonly bytes: number
  /** The limit, in bytes. */
  readonly limit: number
  /** Whose limit it is, or what to do instead, as a clause: "send it as a file". */
  readonly detail?: string
  /** The next step, if there is one. */
  readonly hint?: string
}> {
  override get message(): string {
    const detail = this.detail === undefined ? "" : `; ${this.detail}`
    const hint = this.hint === undefined ? "" : `; ${this.hint}`
    return `message too long: ${grouped(this.bytes)} bytes${detail} (limit: ${grouped(this.limit)} bytes)${hint}`
  }
}

const grouped = (count: number): string => count.toLocaleString("en-US")
