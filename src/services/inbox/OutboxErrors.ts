import * as Data from "effect/Data"
import { shown } from "../../bytes/excerpt.ts"

/** An operation on an outbox failed. Messages that were stored before stay stored. */
export class OutboxFailed extends Data.TaggedError("OutboxFailed")<{
  /** The file. */
  readonly outbox: string
  /** A clause: "the disk is full". */
  readonly reason: string
  /** True when the same operation may succeed later. */
  readonly retry: boolean
}> {
  override get message(): string {
    return `cannot use the outbox ${shown(this.outbox)}: ${this.reason}`
  }
}

/** The run ended before every message of the outbox was acknowledged; the rest stays stored. */
export class OutboxWaits extends Data.TaggedError("OutboxWaits")<{
  readonly outbox: string
  /** Number of stored messages without a receipt. */
  readonly pending: number
  /** Number of messages that this run delivered. */
  readonly acknowledged: number
  /** The message of the error that ended the delivery. */
  readonly reason: string
}> {
  override get message(): string {
    const count = this.pending.toLocaleString("en-US")
    const messages = `${count} ${this.pending === 1 ? "message" : "messages"}`
    return `${messages} pending in ${shown(this.outbox)}; the next run delivers them (${this.reason})`
  }
}

/** The outbox belongs to another destination. */
export class OutboxElsewhere extends Data.TaggedError("OutboxElsewhere")<{
  readonly outbox: string
  /** The destination of its messages: "127.0.0.1:8080", "127.0.0.1:8080 (peer alice)". */
  readonly bound: string
  /** The destination that this run named, in the same form. */
  readonly named: string
}> {
  override get message(): string {
    return `the outbox ${shown(this.outbox)} belongs to ${shown(this.bound)}; use another file for ${shown(this.named)}`
  }
}
