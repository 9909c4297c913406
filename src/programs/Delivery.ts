// Messages that arrive although connections are lost: what has no receipt is sent again, with the id it had. MESSAGES.md.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { ChannelError } from "../channel/ChannelErrors.ts"
import { Alarms } from "../transports/Alarms.ts"
import { checkLengths, type Client, type NotTaken } from "./Client.ts"
import type { MessageTooLong } from "./Classic.ts"
import { encode } from "./MessageFrame.ts"

export const limits = {
  /** Messages that a client has without a receipt, and bytes of them; who offers more waits. A longer message goes alone. */
  window: 16_384,
  windowBytes: 4 * 1024 * 1024,
  /** The pause before the first new attempt, in milliseconds; it doubles, and a random part of it is left out. */
  firstPause: 100,
  longestPause: 10_000
} as const

/** Messages that went out together, until all of them have their receipt. */
interface Piece {
  readonly bytes: Uint8Array
  readonly count: number
}

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
    return (
      `${this.acknowledged.toLocaleString("en-US")} messages were acknowledged, and ${this.left.toLocaleString("en-US")} were not: ` +
      `those may or may not have been handled (${this.reason})`
    )
  }
}

/** How long a delivery goes on. */
export interface Retry {
  /** Without any progress, from the moment of the first failure. */
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
  (error._tag === "NotTaken" && (error as NotTaken).status === "later")

/** One delivery, over as many sessions as it takes. */
export class Delivery {
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
  /** A session has stood. */
  stood = false

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

  #tell(): void {
    const news = this.#news
    this.#news = Deferred.unsafeMake<void>(FiberId.none)
    if (this.#complete && this.#acknowledged === this.#offered) Deferred.unsafeDone(this.#ended, Effect.void)
    Deferred.unsafeDone(news, Effect.void)
  }

  /** Sends what has no receipt, then what is offered, until everything has one and is complete. */
  session(client: Client): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.gen(this, function* () {
      this.stood = true
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
            yield* client.transmit(piece.bytes)
          }
        }
      })
      yield* Effect.raceFirst(Effect.raceFirst(write, client.ended), Deferred.await(this.#ended))
    })
  }

  #acknowledge(count: number): void {
    if (count <= this.#acknowledged) return
    this.#acknowledged = Math.min(count, this.#offered)
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
  ): Effect.Effect<void, E | Undelivered, R> {
    return Effect.gen(this, function* () {
      const alarms = yield* Alarms.here
      const patience = Duration.toMillis(deadline)
      let failing: { readonly since: number; readonly at: number } | undefined
      let pause: number = limits.firstPause
      for (;;) {
        const result = yield* Effect.either(connect((client) => this.session(client)))
        if (result._tag === "Right") return
        const error = result.left
        if (failing === undefined || failing.at < this.#acknowledged) {
          failing = { since: alarms.now, at: this.#acknowledged }
          pause = limits.firstPause
        }
        const wait = pause * (0.5 + Math.random() / 2)
        const patient = alarms.now + wait - failing.since <= patience && (this.stood || fromTheFirst)
        if (!patient || !mayPass(error, this.stood)) return yield* this.#failure(error)
        yield* onPause(error, wait)
        yield* Effect.sleep(wait)
        pause = Math.min(2 * pause, limits.longestPause)
      }
    })
  }

  #failure<E extends Failure>(error: E): Effect.Effect<never, E | Undelivered> {
    const left = this.#offered - this.#acknowledged
    return this.#acknowledged === 0 || error._tag === "NotTaken"
      ? Effect.fail(error)
      : Effect.fail(new Undelivered({ acknowledged: this.#acknowledged, left, reason: error.message }))
  }
}
