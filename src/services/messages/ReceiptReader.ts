import * as Duration from "effect/Duration"
import { Control, type Channel, type ChannelItem } from "../../channel/Channel.ts"
import { ChannelClosed, ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { limits as channelLimits } from "../../channel/limits.ts"
import type { Timers } from "../../transports/Timers.ts"
import type { BatchWriter } from "./BatchWriter.ts"
import type { NotTaken } from "./MessageErrors.ts"
import { ReceiptDecoder } from "./Receipt.ts"
import type { ReceiptTracker } from "./ReceiptTracker.ts"

const closeMillis = Duration.toMillis(channelLimits.closeDeadline)

/** Reads the receipts of a session until it ends, in the callbacks of the channel. */
export class ReceiptReader {
  readonly #channel: Channel
  readonly #receipts: ReceiptTracker
  readonly #writer: BatchWriter
  readonly #timers: Timers
  readonly #decoder = new ReceiptDecoder()
  #isOver = false
  #cancelTimer = () => {}

  constructor(channel: Channel, receipts: ReceiptTracker, writer: BatchWriter, timers: Timers) {
    this.#channel = channel
    this.#receipts = receipts
    this.#writer = writer
    this.#timers = timers
  }

  start(): void {
    this.#channel.flow.start({
      item: (item) => this.#receive(item),
      drained: () => this.#writer.drained(),
      end: () => this.#end(),
      closed: (error) => {
        this.#fail(this.#receipts.refusal ?? error)
        this.#writer.closed(error)
      }
    })
  }

  /** Ends the session on this side: everyone who still waits is told so. */
  stop(): void {
    this.#fail(new ChannelClosed({ peer: "this side", reason: "its session is over" }))
  }

  #receive(item: ChannelItem): void {
    if (this.#isOver) return
    if (item instanceof Control) return this.#tampered("unexpected control message")
    if (!this.#decoder.push(item).every((receipt) => this.#receipts.accept(receipt)))
      return this.#tampered("unexpected receipt")
    if (this.#decoder.isBroken) return this.#tampered("malformed receipt")
    const { refusal } = this.#receipts
    if (refusal === undefined) return
    // The server's CLOSE follows the refusal; the session then ends without a reset.
    this.#cancelTimer = this.#timers.schedule(closeMillis, () => this.#fail(refusal))
  }

  #end(): void {
    if (this.#receipts.refusal !== undefined) return this.#fail(this.#receipts.refusal)
    if (!this.#receipts.isComplete) return this.#tampered("FIN before the last receipt")
    this.#fail(new ChannelClosed({ peer: this.#channel.peer, reason: "it ended the session" }))
  }

  /** After a refusal the caller learns of that; what follows it is not believed. */
  #tampered(detail: string): void {
    const error = new ChannelTampered({ peer: this.#channel.peer, detail })
    this.#fail(this.#receipts.refusal ?? error)
  }

  #fail(error: NotTaken | ChannelError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelTimer()
    this.#receipts.fail(error)
  }
}
