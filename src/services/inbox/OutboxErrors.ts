import * as Data from "effect/Data"

/** The outbox cannot keep messages, or not be read: what was kept before stays kept. */
export class OutboxFailed extends Data.TaggedError("OutboxFailed")<{
  /** The file. */
  readonly outbox: string
  /** A clause: "the disk is full". */
  readonly reason: string
  /** True when the same may succeed another time. */
  readonly retry: boolean
}> {
  override get message(): string {
    return `the outbox ${this.outbox} cannot be used: ${this.reason}`
  }
}

/** Not everything in the outbox was acknowledged: it waits there. */
export class OutboxWaits extends Data.TaggedError("OutboxWaits")<{
  readonly outbox: string
  /** Messages. */
  readonly waiting: number
  /** Messages that this run has delivered. */
  readonly acknowledged: number
  /** What ended it. */
  readonly reason: string
}> {
  override get message(): string {
    const waiting = `${this.waiting.toLocaleString("en-US")} ${this.waiting === 1 ? "message waits" : "messages wait"}`
    return `${waiting} in ${this.outbox} for the next run (${this.reason})`
  }
}

/** The outbox is for one destination, and this is another one. */
export class OutboxElsewhere extends Data.TaggedError("OutboxElsewhere")<{
  readonly outbox: string
  /** Whom its messages are for: "127.0.0.1:8080", "127.0.0.1:8080 (--peer alice)" */
  readonly bound: string
  /** The same of whom this run named. */
  readonly named: string
}> {
  override get message(): string {
    return (
      `the outbox ${this.outbox} is for ${this.bound}, and not for ${this.named}; give that another file. ` +
      `What waits in this one: sealwire inbox list --inbox ${this.outbox}`
    )
  }
}
