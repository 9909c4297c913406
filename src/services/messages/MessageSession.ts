// One session of the message service: message -> handler -> receipt. MESSAGES.md.
//
// It runs in the callbacks of the channel: a message whose handler needs no wait is read, handled
// and acknowledged in one turn of the event loop. Whatever must wait (a handler, memory, a full
// send buffer) pauses the channel.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type { ChannelItem } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { exitOf } from "../finished.ts"
import { limits as sessionLimits } from "../limits.ts"
import { sessionCounter } from "../Metrics.ts"
import { overMemory } from "../PeerBudgets.ts"
import { RefusedByRules } from "../PeerSessions.ts"
import { spendBytes } from "../rules.ts"
import type { ServiceSession, SessionFailure } from "../Service.ts"
import { MessageRefused } from "./MessageErrors.ts"
import { batchesOf, sizeOf } from "./batches.ts"
import { limits, MessageDecoder, type Message } from "./MessageFrame.ts"
import { counters } from "./metrics.ts"
import { encodeReceipt, type Receipt } from "./Receipt.ts"
import { fitsAllowance, takeMessages } from "./rules.ts"

/** The receipt of handled messages, but for its count. */
export type Outcome = Omit<Receipt, "count">

/** Handles a batch: adjacent plain messages together or alone, each request alone. */
export type HandleBatch<E, R> = (
  batch: ReadonlyArray<Message>
) => Effect.Effect<Outcome, MessageRefused | E, R>

/** Groups messages that are handled together: `batchesOf`, or `singly`. */
type Split = typeof batchesOf

interface SessionOptions<E, R> {
  readonly handle: HandleBatch<E, R>
  readonly split: Split
  readonly runtime: Runtime.Runtime<R>
  readonly resume: (result: Effect.Effect<void, Failure<E>>) => void
}

type Failure<E> = ChannelError | MessageRefused | RefusedByRules | E

/**
 * Runs one session until the client's FIN, an error, or the end of the first message after the
 * server drains.
 */
export const run = <E extends SessionFailure, R>(
  session: ServiceSession,
  handle: HandleBatch<E, R>,
  split: Split = batchesOf
): Effect.Effect<void, Failure<E>, R> =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) =>
    Effect.async((resume) => {
      const running = new MessageSession(session, { handle, split, runtime, resume })
      running.start()
      return running.interrupt
    })
  )

class MessageSession<E extends SessionFailure, R> {
  readonly #session: ServiceSession
  readonly #handle: HandleBatch<E, R>
  readonly #split: Split
  readonly #runtime: Runtime.Runtime<R>
  readonly #resume: (result: Effect.Effect<void, Failure<E>>) => void
  readonly #decoder = new MessageDecoder()
  readonly #add: (name: keyof typeof counters, amount: number) => void
  #stopDraining = () => {}

  /** Messages that were handled, from the first of the session. */
  #handled = 0
  /** Batches that are decoded, allowed and not handled yet. */
  #batches: ReadonlyArray<ReadonlyArray<Message>> = []
  #nextBatch = 0
  /** What follows the last of these batches. */
  #afterBatches: "read on" | "over the limit" | "too long" = "read on"
  /** The effect that the session waits for. */
  #waitingFor: Fiber.RuntimeFiber<unknown> | undefined
  /** The client does not read its receipts. */
  #isBlocked = false
  /** The channel is paused. */
  #isPaused = false
  /** Bytes reserved for the message that is being received. */
  #reserved = 0
  /** Bytes reserved for a reply until the client has read it. */
  #reservedForReply = 0
  #isDraining = false
  #hasEnded = false
  /** The error with which the channel has closed. */
  #lost: ChannelError | undefined
  #isOver = false

  constructor(session: ServiceSession, { handle, split, runtime, resume }: SessionOptions<E, R>) {
    this.#session = session
    this.#handle = handle
    this.#split = split
    this.#runtime = runtime
    this.#resume = resume
    this.#add = sessionCounter(counters, session.counters)
  }

  start(): void {
    const { channel, connection } = this.#session
    this.#stopDraining = connection.onDraining(() => this.#drain())
    if (this.#isOver) return
    channel.flow.start({
      item: (item) => this.#receive(item),
      drained: () => {
        this.#isBlocked = false
        this.#releaseReply()
        this.#proceed()
      },
      end: () => {
        this.#hasEnded = true
        this.#readOn()
      },
      closed: (error) => {
        this.#lost ??= error
        this.#readOn()
      }
    })
  }

  readonly interrupt: Effect.Effect<void> = Effect.suspend(() => {
    this.#settle(Effect.void)
    return this.#waitingFor === undefined ? Effect.void : Fiber.interrupt(this.#waitingFor)
  })

  // ---- reading

  #receive(item: ChannelItem): void {
    if (this.#isOver) return
    if (!(item instanceof Uint8Array)) return this.#tampered("unexpected control message")
    const { peerSession } = this.#session
    const messages = this.#decoder.push(item)
    const fits = peerSession === undefined || fitsAllowance(peerSession, this.#decoder.held)
    const allowed = this.#takeAllowed(messages)
    this.#batches = this.#split(allowed)
    this.#nextBatch = 0
    this.#afterBatches =
      allowed.length < messages.length || !fits
        ? "over the limit"
        : this.#decoder.isBroken
          ? "too long"
          : "read on"
    this.#proceed()
  }

  /** Takes messages from the peer's allowances. Returns those that the allowances permit. */
  #takeAllowed(messages: ReadonlyArray<Message>): ReadonlyArray<Message> {
    const { peerSession } = this.#session
    if (peerSession === undefined || messages.length === 0) return messages
    const allowed = takeMessages(peerSession, messages)
    return allowed === messages.length ? messages : messages.slice(0, allowed)
  }

  /** Handles the batches of a record, then what follows them. Stops while something must wait. */
  #proceed(): void {
    while (!this.#isOver && !this.#isBlocked && this.#waitingFor === undefined) {
      const batch = this.#batches[this.#nextBatch]
      if (batch === undefined) return this.#finishRecord()
      this.#nextBatch++
      const [first] = batch as readonly [Message]
      if (first.wantsReply) this.#handleRequest(batch)
      else this.#handleBatch(batch)
    }
  }

  #finishRecord(): void {
    this.#batches = []
    this.#nextBatch = 0
    if (this.#afterBatches === "over the limit") {
      this.#write({ status: "limited" })
      return this.#fail(
        new RefusedByRules({
          peer: this.#session.channel.peer,
          reason: "it exceeds its limit of messages or bytes per minute"
        })
      )
    }
    // The messages before it have been handled, wherever the records ended.
    if (this.#afterBatches === "too long") return this.#tampered("message longer than the limit")
    this.#reserveExpected()
    this.#readOn()
  }

  /** Ends the session if it is time, else reads on, unless something must wait. */
  #readOn(): void {
    if (this.#isOver || this.#waitingFor !== undefined) return
    if (this.#lost !== undefined && !this.#hasEnded) return this.#fail(this.#lost)
    const isBetween = this.#decoder.isEmpty
    // While draining the close reason tells the client why, so the stream is not ended as complete.
    if (this.#isDraining && isBetween) return this.#settle(Effect.void)
    if (this.#hasEnded) {
      if (!isBetween) return this.#tampered("FIN inside a message")
      return this.#settle(this.#session.channel.end)
    }
    if (!this.#isPaused || this.#isBlocked) return
    this.#isPaused = false
    this.#session.channel.flow.resume()
  }

  #pause(): void {
    this.#isPaused = true
    this.#session.channel.flow.pause()
  }

  /**
   * The message that the session has begun to read is still handled and acknowledged, and no
   * further one.
   */
  #drain(): void {
    if (this.#isOver) return
    this.#isDraining = true
    Effect.runSync(this.#session.channel.setCloseReason("GoingAway"))
    this.#readOn()
  }

  // ---- handling

  #handleBatch(batch: ReadonlyArray<Message>): void {
    this.#await(this.#handling(batch), (exit) => {
      if (Exit.isSuccess(exit)) {
        this.#count(batch)
        return this.#write(exit.value)
      }
      const refused = Cause.failureOption(exit.cause)
      if (refused._tag === "None") return this.#settle(Effect.failCause(exit.cause))
      const error = refused.value
      const { handled = 0, status } =
        error instanceof MessageRefused ? error : ({ status: "later" } as const)
      this.#count(batch.slice(0, handled))
      this.#write({ status })
      this.#fail(error)
    })
  }

  #handling(batch: ReadonlyArray<Message>): ReturnType<HandleBatch<E, R>> {
    try {
      return this.#handle(batch)
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  /** A reply is held until the client has read it. */
  #handleRequest(batch: ReadonlyArray<Message>): void {
    this.#reserve(limits.replyBytes, () => {
      this.#reservedForReply = limits.replyBytes
      this.#handleBatch(batch)
      this.#releaseReply()
    })
  }

  /** Releases the memory of a reply, if one is written and read. */
  #releaseReply(): void {
    if (this.#reservedForReply === 0 || this.#waitingFor !== undefined || this.#isBlocked) return
    this.#session.memory.release(this.#reservedForReply)
    this.#reservedForReply = 0
  }

  #count(messages: ReadonlyArray<Message>): void {
    this.#handled += messages.length
    this.#add("messages", messages.length)
    this.#add("bytes", sizeOf(messages))
  }

  #write(outcome: Outcome): void {
    const { status, text } = outcome
    const receipt = encodeReceipt({ status, count: this.#handled, text })
    if (this.#session.channel.flow.write(receipt)) return
    this.#isBlocked = true
    this.#pause()
  }

  // ---- memory

  /**
   * Reserves the memory of the message that is being received, and gives back that of the one
   * before. A whole message is reserved at once: two sessions never wait for each other.
   */
  #reserveExpected(): void {
    const { expected } = this.#decoder
    const needed = expected <= sessionLimits.unreservedBytes ? 0 : expected
    if (needed === this.#reserved) return
    this.#session.memory.release(this.#reserved)
    this.#reserved = 0
    this.#reserve(needed, () => {
      this.#reserved = needed
    })
  }

  /**
   * Waits while other sessions of the peer hold the memory, and refuses the next message after
   * `limits.memoryDeadline`.
   */
  #reserve(bytes: number, then: () => void): void {
    const { memory, channel } = this.#session
    if (memory.reserve(bytes)) return then()
    this.#await(memory.reserveOrWait(bytes), (exit) => {
      if (Exit.isSuccess(exit) && exit.value) return then()
      this.#write({ status: "limited" })
      this.#fail(overMemory(channel.peer, memory))
    })
  }

  // ---- waiting and ending

  /**
   * Runs an effect and calls `then` with its exit: in this turn if the effect needs no wait, else
   * later, and the channel is paused until then. An effect that is finished needs no fiber, which
   * would cost more than sealing the receipt.
   */
  #await<A, F>(effect: Effect.Effect<A, F, R>, then: (exit: Exit.Exit<A, F>) => void): void {
    const finished = exitOf(effect)
    if (finished !== undefined) return then(finished)
    const fiber = Runtime.runFork(this.#runtime)(Effect.exit(effect))
    const settled = fiber.unsafePoll()
    if (settled !== null) return then(Exit.flatten(settled))
    this.#waitingFor = fiber
    this.#pause()
    fiber.addObserver((exit) => {
      if (this.#isOver) return
      this.#waitingFor = undefined
      then(Exit.flatten(exit))
      this.#releaseReply()
      this.#proceed()
    })
  }

  #tampered(detail: string): void {
    this.#fail(new ChannelTampered({ peer: this.#session.channel.peer, detail }))
  }

  #fail(error: Failure<E>): void {
    this.#settle(Effect.fail(error))
  }

  #settle(result: Effect.Effect<void, Failure<E>>): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stopDraining()
    const { peerSession } = this.#session
    if (peerSession !== undefined) spendBytes(peerSession, this.#decoder.held)
    this.#resume(result)
  }
}
