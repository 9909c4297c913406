// A transfer over as many sessions as it takes: what a session has stored, the next one finds.
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { Alarms } from "../../transports/Alarms.ts"
import type { TransferStopped } from "./TransferErrors.ts"

export const limits = {
  /** The pause before the first new attempt, in milliseconds; it doubles, and a random part of it is left out. */
  firstPause: 100,
  longestPause: 10_000
} as const

interface Failure {
  readonly _tag: string
  readonly message: string
  readonly passing?: boolean
}

/** It was cut off, and the next attempt goes on with it. */
export class TransferBroken extends Data.TaggedError("TransferBroken")<{ readonly reason: string }> {
  override get message(): string {
    return `${this.reason}; what arrived is kept, and the same command goes on with it`
  }
}

/** The errors after which another connection may help. */
const passing: ReadonlySet<string> = new Set([
  "ConnectFailed",
  "ConnectionLost",
  "StreamTruncated",
  "PeerDead",
  "ChannelClosed",
  "TransferBusy"
])

const mayPass = (error: Failure, stood: boolean): boolean =>
  passing.has(error._tag) ||
  (error._tag === "HandshakeFailed" && (stood || error.passing === true)) ||
  (error._tag === "TransferStopped" && (error as unknown as TransferStopped).reason === "leaving")

export interface AgainOptions {
  /** How long without any progress. */
  readonly deadline: Duration.DurationInput
  /** Whether that holds before the first session, too. */
  readonly fromTheFirst: boolean
  /** Bytes and files that have come through: more than before is progress. */
  readonly come: () => number
  /** A session has stood. */
  readonly stood: () => boolean
  readonly onPause: (error: Failure, millis: number) => Effect.Effect<void>
}

/** Runs sessions until one does all; after a loss it pauses, and goes on. */
export const again = <E extends Failure, R>(
  session: Effect.Effect<void, E, R>,
  { deadline, fromTheFirst, come, stood, onPause }: AgainOptions
): Effect.Effect<void, E | TransferBroken, R> =>
  Effect.gen(function* () {
    const alarms = yield* Alarms.here
    const patience = Duration.toMillis(deadline)
    let pause: number = limits.firstPause
    let failingSince: number | undefined
    for (;;) {
      const before = come()
      const result = yield* Effect.either(session)
      if (result._tag === "Right") return
      const error = result.left
      if (!mayPass(error, stood())) return yield* Effect.fail(error)
      const progress = come() > before
      if (progress) pause = limits.firstPause
      if (failingSince === undefined || progress) failingSince = alarms.now
      const left = failingSince + patience - alarms.now
      if (left <= 0 || !(stood() || fromTheFirst)) {
        if (!stood()) return yield* Effect.fail(error)
        return yield* new TransferBroken({ reason: error.message })
      }
      const wait = Math.ceil(Math.min(pause * (0.5 + (yield* Random.next) / 2), left))
      yield* onPause(error, wait)
      yield* Effect.sleep(wait)
      pause = Math.min(2 * pause, limits.longestPause)
    }
  })
