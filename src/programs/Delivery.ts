// Messages that arrive although connections are lost: what has no receipt is sent again, with the id it had. MESSAGES.md.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Random from "effect/Random"
import type { ChannelError } from "../channel/ChannelErrors.ts"
import { Alarms } from "../transports/Alarms.ts"
import { checkLengths, NotTaken, type Client } from "./Client.ts"
import type { MessageTooLong } from "./Classic.ts"
import { encode, type Piece } from "./MessageFrame.ts"

export const limits = {
  /** Messages that a client has without a receipt, and bytes of them; who offers more waits. A longer message goes alone. */
  window: 16_384,
  windowBytes: 4 * 1024 * 1024,
  /** The pause before the first new attempt, in milliseconds; it doubles, and a random part of it is left out. */
  firstPause: 100,
  longestPause: 10_000
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
    if (this.left === 0) return `all that was sent was acknowledged, and then the server stayed away (${this.reason})`
    const [acknowledged, left] = [this.acknowledged, this.left].map((count) => count.toLocaleString("en-US"))
    return (
      `${acknowledged} ${this.acknowledged === 1 ? "message was" : "messages were"} acknowledged, and ${left} ` +
      `${this.left === 1 ? "was" : "were"} not: what was not may or may not have been handled (${this.reason})`
    )
  }
}

/** How long a delivery goes on. */
export interface Retry {
  /** Without any progress, from the moment of the first failure: the last attempt is at its end. */
  readonly deadline: Duration.DurationInput
  /** Whether that holds before the first session, too. */
  readonly fromTheFirst: boolean
}

/** The errors after which another connection may help. */
const passing: ReadonlySet<string> = new Set(["ConnectFailed", "ConnectionLost", "StreamTruncated", "PeerDead", "ChannelClosed"])

interface Failure {
  readonly _tag: string
  readonly message: string
}

const mayPass = (error: Failure, stood: boolean): boolean =>
  passing.has(error._tag) ||
  // A server that is killed in the middle of a handshake says nothing either.
  (stood && error._tag === "HandshakeFailed") ||
  (error instanceof NotTaken && error.status === "later")

/** One delivery, over as many sessions as it takes. */
export class Delivery {
  /** Each until all of it has its receipt. */
  #pieces: Array<Piece> = []
  /** The first of them that this session has not sent. */
  #next = 0
  /** Messages in pieces that are gone, and all that were ever offered. */
  #before = 0
  #offered = 0
  #acknowledged = 0
  #waitingBytes = 0
  #complete = false
  #ended = Deferred.unsafeMake<void>(FiberId.none)
  /** Changed, and replaced: something was offered, acknowledged or ended. */
  #news = Deferred.unsafeMake<void>(FiberId.none)
  /** Sessions that have stood. */
  #stood = 0

  get acknowledged(): number {
    return this.#acknowledged
  }

  get offered(): number {
    return this.#offered
  }

  /** Takes messages; waits while the window is full. */
  offer(texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, MessageTooLong> {
    return Effect.gen(this, function* () {
      yield* checkLengths(texts)
      for (const piece of encode(texts, limits.window)) {
        while (this.#isFull(piece)) yield* this.#change
        this.#pieces.push(piece)
        this.#offered += piece.count
        this.#waitingBytes += piece.bytes.length
        this.#tell()
      }
    })
  }

  /** Nothing more is offered. */
  readonly complete: Effect.Effect<void> = Effect.sync(() => {
    this.#complete = true
    this.#tell()
  })

  #isFull({ bytes, count }: Piece): boolean {
    if (this.#pieces.length === 0) return false
    return this.#offered - this.#acknowledged + count > limits.window || this.#waitingBytes + bytes.length > limits.windowBytes
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

  /** Sends what has no receipt, then what is offered, until everything has one and is complete. */
  session(client: Client): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.gen(this, function* () {
      // Receipts count from the first message of the session.
      const before = this.#before
      client.onHandled((handled) => this.#acknowledge(before + handled))
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
      yield* Effect.raceFirst(Effect.raceFirst(write, client.ended), Deferred.await(this.#ended)).pipe(
        // A server that never was ready may have refused us.
        Effect.tapError(({ _tag }) => Effect.sync(() => (this.#stood += _tag === "HandshakeFailed" ? 0 : 1)))
      )
    })
  }

  #acknowledge(count: number): void {
    if (count <= this.#acknowledged) return
    this.#acknowledged = count
    let gone = 0
    for (; gone < this.#pieces.length; gone++) {
      const piece = this.#pieces[gone] as Piece
      if (this.#before + piece.count > this.#acknowledged) break
      this.#before += piece.count
      this.#waitingBytes -= piece.bytes.length
    }
    this.#pieces.splice(0, gone)
    this.#next -= gone
    this.#tell()
  }

  /** `connect` runs one session; it is run again, after a pause, while what ended it may pass. */
  run<E extends Failure, R>(
    connect: (use: (client: Client) => Effect.Effect<void, NotTaken | ChannelError>) => Effect.Effect<void, E, R>,
    { deadline, fromTheFirst }: Retry,
    onPause: (error: Failure, millis: number) => Effect.Effect<void> = () => Effect.void
  ): Effect.Effect<void, E | NotTaken | Undelivered, R> {
    return Effect.gen(this, function* () {
      const alarms = yield* Alarms.here
      const patience = Duration.toMillis(deadline)
      let pause: number = limits.firstPause
      let failingSince: number | undefined
      let acknowledgedThen = 0
      for (;;) {
        const stoodBefore = this.#stood
        const result = yield* Effect.either(connect((client) => this.session(client)))
        // A connection that is lost after the last receipt has done all it was for.
        if (result._tag === "Right" || (this.#stood > 0 && this.#isDone)) return
        const error = result.left
        const progress = this.#acknowledged > acknowledgedThen
        acknowledgedThen = this.#acknowledged
        if (progress) pause = limits.firstPause
        // A session that had nothing to wait for has failed at nothing.
        const idle = this.#stood > stoodBefore && this.#acknowledged === this.#offered
        if (failingSince === undefined || progress || idle) failingSince = alarms.now
        const left = failingSince + patience - alarms.now
        if (left <= 0 || !(this.#stood > 0 || fromTheFirst) || !mayPass(error, this.#stood > 0))
          return yield* this.#failure(error)
        const wait = Math.ceil(Math.min(pause * (0.5 + (yield* Random.next) / 2), left))
        yield* onPause(error, wait)
        yield* this.#stood > 0 ? Effect.raceFirst(Effect.sleep(wait), Deferred.await(this.#ended)) : Effect.sleep(wait)
        if (this.#stood > 0 && this.#isDone) return
        pause = Math.min(2 * pause, limits.longestPause)
      }
    })
  }

  #failure<E extends Failure>(error: E): Effect.Effect<never, E | NotTaken | Undelivered> {
    const [acknowledged, left] = [this.#acknowledged, this.#offered - this.#acknowledged]
    // It counts the messages of its session alone.
    if (error instanceof NotTaken) return new NotTaken({ server: error.server, handled: acknowledged, status: error.status })
    return acknowledged === 0 ? Effect.fail(error) : new Undelivered({ acknowledged, left, reason: error.message })
  }
}
