// How far the server has come with the messages of a session, and who waits for it.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import { NotTaken, ReplyLost } from "./MessageErrors.ts"
import type { Batch } from "./MessageFrame.ts"
import type { Receipt } from "./Receipt.ts"

type Outcome = Deferred.Deferred<void, NotTaken | ChannelError>
/** Told the reply to a message that asked, once. */
export type Answer = (
  outcome: Effect.Effect<Uint8Array, NotTaken | ReplyLost | ChannelError>
) => void

export class ReceiptTracker {
  readonly #server: string
  /** Messages that were written, or are being written. */
  #sent = 0
  #handled = 0
  #over: NotTaken | ChannelError | undefined
  readonly #waiting = new Map<Outcome, number>()
  /** The numbers of those that asked for a reply and have none, in order, and who waits for it. */
  readonly #asking = new Map<number, Answer | undefined>()
  readonly #ended = Deferred.unsafeMake<never, NotTaken | ChannelError>(FiberId.none)
  onHandled: (count: number, reply?: Uint8Array) => void = () => {}

  constructor(server: string) {
    this.#server = server
  }

  get sent(): number {
    return this.#sent
  }

  /** These are written next. `answer` is told the reply to the last of them. */
  sending({ count, asks = false }: Batch, answer?: Answer): void {
    const before = this.#sent
    this.#sent += count
    if (!asks) return
    for (let number = before + 1; number < this.#sent; number++) this.#asking.set(number, undefined)
    this.#asking.set(this.#sent, answer)
    if (this.#over !== undefined) answer?.(this.#over)
  }

  /** Done when the first `count` messages are handled. */
  reached(count: number): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.suspend(() => {
      if (count <= this.#handled) return Effect.void
      if (this.#over !== undefined) return this.#over
      return Effect.flatMap(Deferred.make<void, NotTaken | ChannelError>(), (outcome) => {
        this.#waiting.set(outcome, count)
        return Deferred.await(outcome)
      })
    })
  }

  get ended(): Effect.Effect<never, NotTaken | ChannelError> {
    return Deferred.await(this.#ended)
  }

  /**
   * False when no server that keeps to the protocol says this: counts never go back, and never exceed what was sent; a message that
   * asks for a reply is handled with it, and no other has one.
   */
  hear({ status, count, text }: Receipt): boolean {
    if (this.#over !== undefined || count < this.#handled || count > this.#sent) return false
    const [asking = Number.POSITIVE_INFINITY] = this.#asking.keys()
    const isReply = status === "reply" || status === "reply lost"
    if (isReply ? count !== asking : count >= asking) return false
    if (isReply) this.#answered(count, text)
    this.#handled = count
    this.onHandled(count, text)
    for (const [outcome, wanted] of this.#waiting)
      if (wanted <= count) {
        this.#waiting.delete(outcome)
        Deferred.unsafeDone(outcome, Effect.void)
      }
    if (!isReply && status !== "handled")
      this.fail(new NotTaken({ server: this.#server, handled: count, status }))
    return true
  }

  #answered(number: number, text: Uint8Array | undefined): void {
    const answer = this.#asking.get(number)
    this.#asking.delete(number)
    answer?.(
      text === undefined ? new ReplyLost({ server: this.#server, number }) : Effect.succeed(text)
    )
  }

  fail(error: NotTaken | ChannelError): void {
    this.#over ??= error
    Deferred.unsafeDone(this.#ended, this.#over)
    for (const outcome of this.#waiting.keys()) Deferred.unsafeDone(outcome, this.#over)
    this.#waiting.clear()
    const asking = [...this.#asking.values()]
    this.#asking.clear()
    for (const answer of asking) answer?.(this.#over)
  }
}
