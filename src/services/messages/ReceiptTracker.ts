// Tracks the receipts of one session on the client: which messages are handled, and who waits for
// it.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { NotTaken, ReplyLost } from "./MessageErrors.ts"
import type { Batch } from "./MessageFrame.ts"
import type { Receipt } from "./Receipt.ts"

type Completion = Deferred.Deferred<void, NotTaken | ChannelError>

/** Called once with the reply to a request, or with the reason why there is none. */
export type OnReply = (
  reply: Effect.Effect<Uint8Array, NotTaken | ReplyLost | ChannelError>
) => void

export class ReceiptTracker {
  readonly #server: string
  /** Messages that were written or are being written. */
  #sent = 0
  #handled = 0
  #failure: NotTaken | ChannelError | undefined
  #refusal: NotTaken | undefined
  /** The number of handled messages that each waits for. */
  readonly #waiting = new Map<Completion, number>()
  /** The numbers of the requests without a reply, in order, each with its callback. */
  readonly #requests = new Map<number, OnReply | undefined>()
  readonly #ended = Deferred.unsafeMake<never, NotTaken | ChannelError>(FiberId.none)
  onReceipt: (count: number, reply?: Uint8Array) => void = () => {}

  constructor(server: string) {
    this.#server = server
  }

  get sent(): number {
    return this.#sent
  }

  /** Counts a batch that is about to be written. `onReply` gets the reply to its last message. */
  countSent({ count, wantsReply = false }: Batch, onReply?: OnReply): void {
    const before = this.#sent
    this.#sent += count
    if (!wantsReply) return
    for (let number = before + 1; number < this.#sent; number++)
      this.#requests.set(number, undefined)
    this.#requests.set(this.#sent, onReply)
    if (this.#failure !== undefined) onReply?.(this.#failure)
  }

  /** Waits until the first `count` messages are handled. */
  awaitHandled(count: number): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.suspend(() => {
      if (count <= this.#handled) return Effect.void
      if (this.#failure !== undefined) return this.#failure
      return Effect.flatMap(Deferred.make<void, NotTaken | ChannelError>(), (completion) => {
        this.#waiting.set(completion, count)
        return Deferred.await(completion)
      })
    })
  }

  get ended(): Effect.Effect<never, NotTaken | ChannelError> {
    return Deferred.await(this.#ended)
  }

  /**
   * Applies a receipt. Returns false when the receipt violates the protocol: counts never decrease
   * and never exceed the messages sent; a request is counted by its reply, and no other message has
   * one.
   */
  accept({ status, count, text }: Receipt): boolean {
    const isOver = this.#failure !== undefined || this.#refusal !== undefined
    if (isOver || count < this.#handled || count > this.#sent) return false
    const [nextRequest = Number.POSITIVE_INFINITY] = this.#requests.keys()
    const isReply = status === "reply" || status === "reply lost"
    if (isReply ? count !== nextRequest : count >= nextRequest) return false
    if (isReply) this.#completeRequest(count, text)
    this.#handled = count
    this.onReceipt(count, text)
    for (const [completion, wanted] of this.#waiting)
      if (wanted <= count) {
        this.#waiting.delete(completion)
        Deferred.unsafeDone(completion, Effect.void)
      }
    if (!isReply && status !== "handled")
      this.#refusal = new NotTaken({ server: this.#server, handled: count, status })
    return true
  }

  /** Why the server handles no further message of this session, from its last receipt. */
  get refusal(): NotTaken | undefined {
    return this.#refusal
  }

  /** True if every message that was sent has its receipt. */
  get isComplete(): boolean {
    return this.#handled === this.#sent
  }

  #completeRequest(number: number, text: Uint8Array | undefined): void {
    const onReply = this.#requests.get(number)
    this.#requests.delete(number)
    onReply?.(
      text === undefined ? new ReplyLost({ server: this.#server, number }) : Effect.succeed(text)
    )
  }

  /** Ends the session: everyone who waits fails. The first error wins. */
  fail(error: NotTaken | ChannelError): void {
    this.#failure ??= error
    Deferred.unsafeDone(this.#ended, this.#failure)
    for (const completion of this.#waiting.keys()) Deferred.unsafeDone(completion, this.#failure)
    this.#waiting.clear()
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const onReply of requests) onReply?.(this.#failure)
  }
}
