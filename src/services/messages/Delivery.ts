// Messages that arrive although connections are lost: what has no receipt is sent again, with the id it had. MESSAGES.md.
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
import { dropFirst, encode, headerBytes, type Batch } from "./MessageFrame.ts"
import { runWithRetry, type Failure, type OnPause, type Retry } from "../Retry.ts"
import type { IncomingMessage } from "./MessageHandler.ts"

export const limits = {
  /** Messages that a client has without a receipt, and bytes of them; who offers more waits. A longer message goes alone. */
  window: 16_384,
  windowBytes: 4 * 1024 * 1024,
  /** Messages that ask for a reply and whose reply was not taken yet, up to `replyBytes` each. */
  requests: clientLimits.requests
} as const

/** Not everything was acknowledged. */
export class Undelivered extends Data.TaggedError("Undelivered")<{
  /** With a receipt. */
  readonly acknowledged: number
  /** Sent, or to be sent, without one. */
  readonly left: number
  /** What ended it. */
  readonly reason: string
}> {
  override get message(): string {
    if (this.left === 0)
      return `all that was sent was acknowledged, and then the server stayed away (${this.reason})`
    const [acknowledged, left] = [this.acknowledged, this.left].map((count) =>
      count.toLocaleString("en-US")
    )
    return (
      `${acknowledged} ${this.acknowledged === 1 ? "message was" : "messages were"} acknowledged, and ${left} ` +
      `${this.left === 1 ? "was" : "were"} not: what was not may or may not have been handled (${this.reason})`
    )
  }
}

/**
 * One delivery, over as many sessions as it takes: messages are offered while `run` connects, sends and hears receipts.
 *
 * @example
 * const delivery = new Delivery()
 * const run = delivery.run((use) => Effect.scoped(Effect.flatMap(Client.connect(options), use)), { deadline: "1 hour", fromTheFirst: true })
 * const feed = Effect.zipRight(delivery.offer([Buffer.from("text")]), delivery.complete)
 * yield* Effect.all([run, feed], { concurrency: 2 }) // every message is acknowledged
 */
export class Delivery {
  /** Each until all of it has its receipt. */
  #pieces: Array<Batch> = []
  /** The first of them that this session has not sent. */
  #next = 0
  /** Messages in pieces that are gone, and all that were ever offered. */
  #before = 0
  #offered = 0
  #offeredBytes = 0
  #acknowledged = 0
  #waitingBytes = 0
  #complete = false
  readonly #asks: boolean
  /** Replies that nobody has taken yet, in the order of the messages; undefined where it is lost. */
  readonly #replies: Array<Uint8Array | undefined> = []
  /** Nothing more is sent or heard. */
  #over = false
  #ended = Deferred.unsafeMake<void>(FiberId.none)
  /** Changed, and replaced: something was offered, acknowledged or ended. */
  #news = Deferred.unsafeMake<void>(FiberId.none)
  /** Sessions that have stood. */
  #stood = 0

  /** With `replies`, each message asks for one, and whoever offers them takes them: `reply`. */
  constructor({ replies = false }: { readonly replies?: boolean } = {}) {
    this.#asks = replies
  }

  /** Messages that have their receipt. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Messages that were offered. */
  get offered(): number {
    return this.#offered
  }

  /** Of text, in what was offered. */
  get bytes(): number {
    return this.#offeredBytes - headerBytes * this.#offered
  }

  /** Takes messages; waits while the window is full: `limits.window` messages or `limits.windowBytes` without a receipt. */
  offer(texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, MessageTooLong> {
    return Effect.zipRight(
      checkLengths(texts),
      this.#take(encode(texts, { most: this.#window, asks: this.#asks }))
    )
  }

  /** Takes messages that have their ids already; waits while the window is full. */
  offerKept(messages: ReadonlyArray<IncomingMessage>): Effect.Effect<void> {
    const [texts, ids] = [messages.map(({ text }) => text), messages.map(({ id }) => id)]
    return this.#take(encode(texts, { most: this.#window, asks: this.#asks, ids }))
  }

  #take(pieces: Iterable<Batch>): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      for (const piece of pieces) {
        while (this.#isFull(piece)) yield* this.#change
        this.#pieces.push(piece)
        this.#offered += piece.count
        this.#offeredBytes += piece.bytes.length
        this.#waitingBytes += piece.bytes.length
        this.#tell()
      }
    })
  }

  /** Waits until more than so many are acknowledged; how many are. */
  moreThan(count: number): Effect.Effect<number> {
    return Effect.gen(this, function* () {
      while (this.#acknowledged <= count) yield* this.#change
      return this.#acknowledged
    })
  }

  /** The next reply, in the order of the messages: undefined in `text` where it is lost. Undefined when no more comes. */
  readonly reply: Effect.Effect<{ readonly text: Uint8Array | undefined } | undefined> = Effect.gen(
    this,
    function* () {
      while (this.#replies.length === 0) {
        if (this.#over || this.#isDone) return undefined
        yield* this.#change
      }
      const text = this.#replies.shift()
      this.#tell()
      return { text }
    }
  )

  /** Nothing more is offered. */
  readonly complete: Effect.Effect<void> = Effect.sync(() => {
    this.#complete = true
    this.#tell()
  })

  #isFull({ bytes, count }: Batch): boolean {
    const waiting = this.#offered - this.#acknowledged + this.#replies.length
    if (waiting === 0) return false
    return waiting + count > this.#window || this.#waitingBytes + bytes.length > limits.windowBytes
  }

  get #window(): number {
    return this.#asks ? limits.requests : limits.window
  }

  get #change(): Effect.Effect<void> {
    return Effect.suspend(() => Deferred.await(this.#news))
  }

  get #isDone(): boolean {
    return this.#complete && this.#acknowledged === this.#offered
  }

  #tell(): void {
    const news = this.#news
    this.#news = Deferred.unsafeMake<void>(FiberId.none)
    if (this.#isDone) Deferred.unsafeDone(this.#ended, Effect.void)
    Deferred.unsafeDone(news, Effect.void)
  }

  /** One session: sends what has no receipt, then what is offered, until everything has one and is complete; or how the session ended. */
  session(client: MessageClient): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.gen(this, function* () {
      this.#cut()
      // Receipts count from the first message of the session.
      const before = this.#before
      client.onHandled((handled, reply) => this.#acknowledge(before + handled, reply))
      this.#next = 0
      const write = Effect.gen(this, function* () {
        for (;;) {
          const piece = this.#pieces[this.#next]
          if (piece === undefined) yield* this.#change
          else {
            this.#next++
            yield* client.transmit(piece)
          }
        }
      })
      yield* Effect.raceFirst(
        Effect.raceFirst(write, client.ended),
        Deferred.await(this.#ended)
      ).pipe(
        // A server that never was ready may have refused us.
        Effect.tapError(({ _tag }) =>
          Effect.sync(() => (this.#stood += _tag === "HandshakeFailed" ? 0 : 1))
        )
      )
    })
  }

  /** Of the first piece, what has its receipt is not sent again: a server that was started anew would handle it again. */
  #cut(): void {
    const [first] = this.#pieces
    if (first === undefined || this.#acknowledged === this.#before) return
    const rest = dropFirst(first, this.#acknowledged - this.#before)
    this.#pieces[0] = rest
    this.#waitingBytes -= first.bytes.length - rest.bytes.length
    this.#before = this.#acknowledged
  }

  #acknowledge(count: number, reply: Uint8Array | undefined): void {
    if (count <= this.#acknowledged) return
    this.#acknowledged = count
    // Each asks, and none is handled without its reply: the count has gone up by one.
    if (this.#asks) this.#replies.push(reply)
    let gone = 0
    for (; gone < this.#pieces.length; gone++) {
      const piece = this.#pieces[gone] as Batch
      if (this.#before + piece.count > this.#acknowledged) break
      this.#before += piece.count
      this.#waitingBytes -= piece.bytes.length
    }
    this.#pieces.splice(0, gone)
    this.#next -= gone
    this.#tell()
  }

  /**
   * `connect` runs one session; it is run again, after a pause, while what ended it may pass. Done when nothing more is offered (`complete`)
   * and all is acknowledged. Else: `NotTaken` when the server refuses a message, what `connect` failed with when nothing was
   * acknowledged, `Undelivered` when something was; what had no receipt may or may not have been handled.
   */
  run<E extends Failure, R>(
    connect: (
      use: (client: MessageClient) => Effect.Effect<void, NotTaken | ChannelError>
    ) => Effect.Effect<void, E, R>,
    retry: Retry,
    onPause?: OnPause
  ): Effect.Effect<void, E | NotTaken | Undelivered, R> {
    return Effect.suspend(() => {
      let stoodBefore = 0
      const stood = () => this.#stood > 0
      const attempt = Effect.suspend(() => {
        stoodBefore = this.#stood
        return connect((client) => this.session(client))
      })
      return runWithRetry(
        attempt,
        retry,
        {
          progress: () => this.#acknowledged,
          hasConnected: stood,
          // A session that had nothing to wait for has failed at nothing.
          isIdle: () => this.#stood > stoodBefore && this.#acknowledged === this.#offered,
          // A connection that is lost after the last receipt has done all it was for.
          isDone: () => stood() && this.#isDone,
          wake: Effect.suspend(() => (stood() ? Deferred.await(this.#ended) : Effect.never))
        },
        onPause
      )
    }).pipe(
      Effect.catchAll((error) => this.#failure(error)),
      Effect.ensuring(
        Effect.sync(() => {
          this.#over = true
          this.#tell()
        })
      )
    )
  }

  #failure<E extends Failure>(error: E): Effect.Effect<never, E | NotTaken | Undelivered> {
    const [acknowledged, left] = [this.#acknowledged, this.#offered - this.#acknowledged]
    // It counts the messages of its session alone.
    if (error instanceof NotTaken)
      return new NotTaken({ server: error.server, handled: acknowledged, status: error.status })
    return acknowledged === 0
      ? Effect.fail(error)
      : new Undelivered({ acknowledged, left, reason: error.message })
  }
}
