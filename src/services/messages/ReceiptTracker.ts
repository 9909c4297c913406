// Tracks the receipts of one session on the client: which messages are handled, and who waits for
// it.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { NotTaken, ReplyLost } from "./MessageErrors.ts"
import type { Batch } from "./MessageFrame.ts"
import type { Receipt } from "./Receipt.ts"

type Resume = (result: Effect.Effect<void, NotTaken | ChannelError>) => void

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
  /** Who waits, and for which number of handled messages; never fewer than the one before. */
  readonly #waiting = new Map<Resume, number>()
  /** The numbers of the requests without a reply, in order, each with its callback. */
  readonly #requests = new Map<number, OnReply | undefined>()
  readonly #ended = Deferred.unsafeMake<never, NotTaken | ChannelError>(FiberId.none)
  onReceipt: (count: number, reply?: Uint8Array) => void = () => {}

  constructor(server: string) {
    this.#server = server
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

  /**
   * Waits until every message that was sent before is handled. An interrupted wait stays in the list
   * until then: what would remove it costs half of the wait.
   */
  readonly awaitSent: Effect.Effect<void, NotTaken | ChannelError> = Effect.async((resume) => {
    if (this.isComplete) return resume(Effect.void)
    if (this.#failure !== undefined) return resume(this.#failure)
    this.#waiting.set(resume, this.#sent)
  })

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
    const nextRequest = this.#nextRequest
    const isReply = status === "reply" || status === "reply lost"
    if (isReply ? count !== nextRequest : count >= nextRequest) return false
    if (isReply) this.#completeRequest(count, text)
    this.#handled = count
    this.onReceipt(count, text)
    for (const [waiter, wanted] of this.#waiting) {
      // They wait for more and more, in the order in which they began.
      if (wanted > count) break
      this.#waiting.delete(waiter)
      waiter(Effect.void)
    }
    if (!isReply && status !== "handled")
      this.#refusal = new NotTaken({ server: this.#server, handled: count, status })
    return true
  }

  get #nextRequest(): number {
    for (const number of this.#requests.keys()) return number
    return Number.POSITIVE_INFINITY
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
    const waiting = [...this.#waiting.keys()]
    this.#waiting.clear()
    for (const waiter of waiting) waiter(this.#failure)
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const onReply of requests) onReply?.(this.#failure)
  }
}
