// Delivers messages across lost connections: unacknowledged ones are sent again under their ids.
// MESSAGES.md.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { ChannelError } from "../../channel/ChannelErrors.ts"
import {
  checkLengths,
  limits as clientLimits,
  NotTaken,
  type MessageClient
} from "./MessageClient.ts"
import type { MessageTooLong } from "./MessageErrors.ts"
import { dropFirst, encodeMessages, headerBytes, type Batch } from "./MessageFrame.ts"
import { runWithRetry, type Failure, type OnPause, type Retry } from "../Retry.ts"
import type { IncomingMessage } from "./MessageHandler.ts"

export const limits = {
  /**
   * Unacknowledged messages of a client, and their bytes; further offers wait. A longer message is
   * sent alone.
   */
  window: 16_384,
  windowBytes: 4 * 1024 * 1024,
  /** Requests whose reply `nextReply` has not returned yet, each up to `replyBytes`. */
  pendingReplies: clientLimits.pendingReplies
} as const

/**
 * A delivery ended before every message was acknowledged, or before the server closed the session.
 */
export class Undelivered extends Data.TaggedError("Undelivered")<{
  readonly acknowledged: number
  /** Messages without a receipt, sent or not. */
  readonly unacknowledged: number
  /** The message of the error that ended the delivery. */
  readonly reason: string
}> {
  override get message(): string {
    if (this.unacknowledged === 0)
      return `every message sent so far was acknowledged, then the server became unreachable: ${this.reason}`
    const [acknowledged, unacknowledged] = [this.acknowledged, this.unacknowledged].map((count) =>
      count.toLocaleString("en-US")
    )
    return `messages acknowledged: ${acknowledged}; not acknowledged: ${unacknowledged}, which may or may not have been handled (${this.reason})`
  }
}

/**
 * Delivers messages over as many sessions as it takes. One fiber offers messages while another runs
 * `run`, which connects, sends and receives receipts.
 *
 * @example
 * const delivery = new Delivery()
 * const connect = (use) => Effect.scoped(Effect.flatMap(MessageClient.connect(options), use))
 * const run = delivery.run(connect, { deadline: "1 hour", includesFirstAttempt: true })
 * const feed = Effect.zipRight(delivery.offer([Buffer.from("text")]), delivery.complete)
 * yield* Effect.all([run, feed], { concurrency: 2 }) // every message is acknowledged
 */
export class Delivery {
  /** Batches that are not entirely acknowledged. */
  #batches: Array<Batch> = []
  /** Index of the first batch that this session has not sent. */
  #next = 0
  /** Messages before the first batch. */
  #dropped = 0
  #offered = 0
  #offeredBytes = 0
  #acknowledged = 0
  #windowBytes = 0
  #complete = false
  readonly #wantsReplies: boolean
  /**
   * Replies that `nextReply` has not returned, in the order of the messages; undefined for a lost
   * one.
   */
  readonly #replies: Array<Uint8Array | undefined> = []
  /** Set when `run` has returned. */
  #over = false
  #ended = Deferred.unsafeMake<void>(FiberId.none)
  /**
   * Completed and replaced on every change: messages offered or acknowledged, replies taken, the
   * end.
   */
  #changed = Deferred.unsafeMake<void>(FiberId.none)
  /** Sessions that were established. */
  #sessions = 0

  /** With `replies`, each message requests a reply; `nextReply` returns them. */
  constructor({ replies = false }: { readonly replies?: boolean } = {}) {
    this.#wantsReplies = replies
  }

  /** Number of acknowledged messages. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Number of offered messages. */
  get offered(): number {
    return this.#offered
  }

  /** Bytes of the texts of the offered messages. */
  get textBytes(): number {
    return this.#offeredBytes - headerBytes * this.#offered
  }

  /** Adds messages under new ids. Waits while the window is full. */
  offer(texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, MessageTooLong> {
    return Effect.zipRight(checkLengths(texts), this.#enqueue(texts))
  }

  /** Adds messages that already have their ids. Waits while the window is full. */
  offerStored(messages: ReadonlyArray<IncomingMessage>): Effect.Effect<void> {
    return this.#enqueue(
      messages.map(({ text }) => text),
      messages.map(({ id }) => id)
    )
  }

  #enqueue(texts: ReadonlyArray<Uint8Array>, ids?: ReadonlyArray<Uint8Array>): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const options = { maxCount: this.#window, wantsReply: this.#wantsReplies }
      for (const batch of encodeMessages(
        texts,
        ids === undefined ? options : { ...options, ids }
      )) {
        while (this.#isFull(batch)) yield* this.#change
        this.#batches.push(batch)
        this.#offered += batch.count
        this.#offeredBytes += batch.size
        this.#windowBytes += batch.size
        this.#notify()
      }
    })
  }

  /** Waits until more than `count` messages are acknowledged, and returns their number. */
  awaitMoreThan(count: number): Effect.Effect<number> {
    return Effect.gen(this, function* () {
      while (this.#acknowledged <= count) yield* this.#change
      return this.#acknowledged
    })
  }

  /**
   * Returns the next reply, in the order of the messages; its `text` is undefined when the reply is
   * lost. Returns undefined when no more replies come.
   */
  readonly nextReply: Effect.Effect<{ readonly text: Uint8Array | undefined } | undefined> =
    Effect.gen(this, function* () {
      while (this.#replies.length === 0) {
        if (this.#over || this.#isDone) return undefined
        yield* this.#change
      }
      const text = this.#replies.shift()
      this.#notify()
      return { text }
    })

  /** Declares that no more messages are offered. */
  readonly complete: Effect.Effect<void> = Effect.sync(() => {
    this.#complete = true
    this.#notify()
  })

  #isFull({ size, count }: Batch): boolean {
    const inWindow = this.#offered - this.#acknowledged + this.#replies.length
    if (inWindow === 0) return false
    return inWindow + count > this.#window || this.#windowBytes + size > limits.windowBytes
  }

  get #window(): number {
    return this.#wantsReplies ? limits.pendingReplies : limits.window
  }

  get #change(): Effect.Effect<void> {
    return Effect.suspend(() => Deferred.await(this.#changed))
  }

  get #isDone(): boolean {
    return this.#complete && this.#acknowledged === this.#offered
  }

  #notify(): void {
    const changed = this.#changed
    this.#changed = Deferred.unsafeMake<void>(FiberId.none)
    if (this.#isDone) Deferred.unsafeDone(this.#ended, Effect.void)
    Deferred.unsafeDone(changed, Effect.void)
  }

  /**
   * Runs one session: sends the unacknowledged messages, then those that are offered, until all are
   * acknowledged and the delivery is complete. Fails with the reason why the session ended earlier.
   */
  session(client: MessageClient): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.gen(this, function* () {
      this.#dropAcknowledged()
      // Receipts count from the first message of the session.
      const before = this.#dropped
      client.onReceipt((handled, reply) => this.#acknowledge(before + handled, reply))
      this.#next = 0
      const write = Effect.gen(this, function* () {
        for (;;) {
          const batch = this.#batches[this.#next]
          if (batch === undefined) yield* this.#change
          else {
            this.#next++
            yield* client.sendBatch(batch)
          }
        }
      })
      yield* Effect.raceFirst(
        Effect.raceFirst(write, client.ended),
        Deferred.await(this.#ended)
      ).pipe(
        // A server that never became ready may have refused this client's key.
        Effect.tapError(({ _tag }) =>
          Effect.sync(() => (this.#sessions += _tag === "HandshakeFailed" ? 0 : 1))
        )
      )
    })
  }

  /**
   * Drops the acknowledged messages of the first batch: a server that was restarted no longer knows
   * their ids and would handle them again.
   */
  #dropAcknowledged(): void {
    const [first] = this.#batches
    if (first === undefined || this.#acknowledged === this.#dropped) return
    const rest = dropFirst(first, this.#acknowledged - this.#dropped)
    this.#batches[0] = rest
    this.#windowBytes -= first.size - rest.size
    this.#dropped = this.#acknowledged
  }

  #acknowledge(count: number, reply: Uint8Array | undefined): void {
    if (count <= this.#acknowledged) return
    this.#acknowledged = count
    // Every message is a request, and each reply counts one: the count has increased by one.
    if (this.#wantsReplies) this.#replies.push(reply)
    let done = 0
    for (; done < this.#batches.length; done++) {
      const batch = this.#batches[done] as Batch
      if (this.#dropped + batch.count > this.#acknowledged) break
      this.#dropped += batch.count
      this.#windowBytes -= batch.size
    }
    this.#batches.splice(0, done)
    this.#next -= done
    this.#notify()
  }

  /**
   * Runs `connect`, which opens one session, again after each transient error, with pauses. Returns
   * when the delivery is complete and every message is acknowledged. Fails with `NotTaken` when the
   * server refuses a message, with the error of `connect` when no message was acknowledged, and
   * with `Undelivered` when some were; unacknowledged messages may or may not have been handled.
   */
  run<E extends Failure, R>(
    connect: (
      use: (client: MessageClient) => Effect.Effect<void, NotTaken | ChannelError>
    ) => Effect.Effect<void, E, R>,
    retry: Retry,
    onPause?: OnPause
  ): Effect.Effect<void, E | NotTaken | Undelivered, R> {
    return Effect.suspend(() => {
      let sessionsBefore = 0
      const hasConnected = () => this.#sessions > 0
      const attempt = Effect.suspend(() => {
        sessionsBefore = this.#sessions
        return connect((client) => this.session(client))
      })
      return runWithRetry(
        attempt,
        retry,
        {
          progress: () => this.#acknowledged,
          hasConnected,
          // A session without unacknowledged messages has failed at nothing.
          isIdle: () => this.#sessions > sessionsBefore && this.#acknowledged === this.#offered,
          // A connection that is lost after the last receipt has served its purpose.
          isDone: () => hasConnected() && this.#isDone,
          wake: Effect.suspend(() => (hasConnected() ? Deferred.await(this.#ended) : Effect.never))
        },
        onPause
      )
    }).pipe(
      Effect.catchAll((error) => this.#failure(error)),
      Effect.ensuring(
        Effect.sync(() => {
          this.#over = true
          this.#notify()
        })
      )
    )
  }

  #failure<E extends Failure>(error: E): Effect.Effect<never, E | NotTaken | Undelivered> {
    const [acknowledged, unacknowledged] = [this.#acknowledged, this.#offered - this.#acknowledged]
    // The error counts the messages of its session; the caller wants those of the delivery.
    if (error instanceof NotTaken)
      return new NotTaken({ server: error.server, handled: acknowledged, status: error.status })
    return acknowledged === 0
      ? Effect.fail(error)
      : new Undelivered({ acknowledged, unacknowledged, reason: error.message })
  }
}
