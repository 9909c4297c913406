// Work over as many sessions as it takes: after which errors another is tried, when, and for how long.
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { Timers } from "../transports/Timers.ts"

export const limits = {
  /** The pause before the first new attempt, in milliseconds; it doubles, and a random part of it is left out. */
  firstPause: 100,
  longestPause: 10_000
} as const

/** How long it goes on. */
export interface Retry {
  /** Without any progress, from the moment of the first failure: the last attempt is at its end. */
  readonly deadline: Duration.DurationInput
  /** Whether that holds before the first session, too. */
  readonly fromTheFirst: boolean
  /** As long as this is true, there is no deadline, and the first session need not stand. */
  readonly goesOn?: () => boolean
}

/** Something that ended a session, or kept one from beginning. */
export interface Failure {
  readonly _tag: string
  readonly message: string
  /** Of a handshake that failed: nobody has refused our keys. */
  readonly passing?: boolean
  /** Of a message that was not taken. */
  readonly status?: string
  /** Of a transfer that was stopped. */
  readonly reason?: string
}

const always = () => true

/** The errors after which another connection may help, and when. */
const passing = new Map<string, (error: Failure, stood: boolean) => boolean>([
  ["ConnectFailed", always],
  ["ConnectionLost", always],
  ["StreamTruncated", always],
  ["PeerDead", always],
  ["ChannelClosed", always],
  ["TransferBusy", always],
  // A server that has let us in before may be killed in the middle of a handshake; it says nothing either.
  ["HandshakeFailed", ({ passing: unrefused }, stood) => stood || unrefused === true],
  ["NotTaken", ({ status }) => status === "later"],
  ["TransferStopped", ({ reason }) => reason === "leaving"]
])

/** True of errors after which the same may succeed another time; `stood`: a session has. */
export const mayPass = (error: Failure, stood: boolean): boolean =>
  passing.get(error._tag)?.(error, stood) ?? false

/** What the sessions have come to so far. */
export interface Progress {
  /** More than after the last attempt is progress. */
  readonly progress: () => number
  /** A session has stood. */
  readonly hasConnected: () => boolean
  /** The last attempt had nothing to do, and so has failed at nothing. Default: never. */
  readonly idle?: () => boolean
  /** Nothing is left to do, whatever the last attempt failed with. Default: never. */
  readonly done?: () => boolean
  /** Ends a pause sooner. */
  readonly wake?: Effect.Effect<void>
}

export type OnPause = (error: Failure, millis: number) => Effect.Effect<void>

/** Runs sessions until one does all. After a loss it pauses, and goes on; when it gives up, it fails as the last of them. */
export const runWithRetry = <E extends Failure, R>(
  session: Effect.Effect<void, E, R>,
  { deadline, fromTheFirst, goesOn = () => false }: Retry,
  { progress, hasConnected, idle = () => false, done = () => false, wake = Effect.never }: Progress,
  onPause: OnPause = () => Effect.void
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    const timers = yield* Timers.current
    const patience = Duration.toMillis(deadline)
    let pause: number = limits.firstPause
    let failingSince: number | undefined
    for (let before = progress(); ; before = progress()) {
      const result = yield* Effect.either(session)
      if (result._tag === "Right" || done()) return
      const error = result.left
      const advanced = progress() > before
      if (advanced) pause = limits.firstPause
      const open = goesOn()
      if (failingSince === undefined || advanced || idle() || open) failingSince = timers.now
      const left = failingSince + patience - timers.now
      if (left <= 0 || !(hasConnected() || fromTheFirst || open) || !mayPass(error, hasConnected()))
        return yield* Effect.fail(error)
      const wait = Math.ceil(Math.min(pause * (0.5 + (yield* Random.next) / 2), left))
      yield* onPause(error, wait)
      yield* Effect.raceFirst(Effect.sleep(wait), wake)
      if (done()) return
      pause = Math.min(2 * pause, limits.longestPause)
    }
  })
