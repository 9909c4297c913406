// Work that outlives its sessions: which errors are retried, when, and for how long.
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { Timers } from "../transports/Timers.ts"

export const limits = {
  /**
   * Pause before the first retry, in milliseconds. It doubles each time; jitter takes up to half of
   * it.
   */
  firstPause: 100,
  longestPause: 10_000
} as const

/** The limits of a series of attempts. */
export interface Retry {
  /** Longest time without progress, counted from the end of the first failed attempt. */
  readonly deadline: Duration.DurationInput
  /** Whether the deadline is a default, which a failure with `patience` extends. */
  readonly isDefault?: boolean
  /** Whether a first attempt that never connected is retried too. */
  readonly includesFirstAttempt: boolean
  /** While true, there is no deadline, and the first attempt is retried too. Default: never. */
  readonly isUnlimited?: () => boolean
}

/** An error that ended a session, or prevented one. */
export interface Failure {
  readonly _tag: string
  readonly message: string
  /** True if another attempt may succeed. */
  readonly transient?: boolean
  /** True if another attempt may succeed where an earlier one has connected. */
  readonly transientOnceConnected?: boolean
  /** The deadline for this error where `Retry.deadline` is a default. */
  readonly patience?: Duration.DurationInput
}

/** Returns true if another attempt may succeed; `hasConnected` is true if an earlier one has. */
export const isTransient = (error: Failure, hasConnected: boolean): boolean =>
  error.transient === true || (hasConnected && error.transientOnceConnected === true)

/** The state of the work between attempts. */
export interface Progress {
  /** A count that grows with each step of the work. */
  readonly progress: () => number
  /** Whether a session was ever established. */
  readonly hasConnected: () => boolean
  /**
   * Whether the last attempt had nothing to do, so that its failure does not count. Default: never.
   */
  readonly isIdle?: () => boolean
  /** Whether the work is complete, whatever the last attempt failed with. Default: never. */
  readonly isDone?: () => boolean
  /** Ends a pause early. */
  readonly wake?: Effect.Effect<void>
}

export type OnPause = (error: Failure, millis: number) => Effect.Effect<void>

/**
 * Runs sessions until one succeeds. After a transient error it pauses and tries again; otherwise,
 * and after the deadline, it fails with the error of the last session.
 *
 * This is a loop and no Effect Schedule: progress of an attempt resets both the pause and the
 * deadline, and `wake` ends a pause, while a schedule sees errors alone.
 */
export const runWithRetry = <E extends Failure, R>(
  session: Effect.Effect<void, E, R>,
  { deadline, isDefault = false, includesFirstAttempt, isUnlimited = () => false }: Retry,
  {
    progress,
    hasConnected,
    isIdle = () => false,
    isDone = () => false,
    wake = Effect.never
  }: Progress,
  onPause: OnPause = () => Effect.void
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    const timers = yield* Timers.current
    const patienceFor = ({ patience = deadline }: Failure) =>
      Duration.toMillis(isDefault ? patience : deadline)
    let pause: number = limits.firstPause
    let failingSince: number | undefined
    for (let before = progress(); ; before = progress()) {
      const result = yield* Effect.either(session)
      if (result._tag === "Right" || isDone()) return
      const error = result.left
      const hasAdvanced = progress() > before
      if (hasAdvanced) pause = limits.firstPause
      const unlimited = isUnlimited()
      if (failingSince === undefined || hasAdvanced || isIdle() || unlimited)
        failingSince = timers.now
      const left = failingSince + patienceFor(error) - timers.now
      const mayRetry = hasConnected() || includesFirstAttempt || unlimited
      if (left <= 0 || !mayRetry || !isTransient(error, hasConnected()))
        return yield* Effect.fail(error)
      const wait = Math.ceil(Math.min(pause * (0.5 + (yield* Random.next) / 2), left))
      yield* onPause(error, wait)
      yield* Effect.raceFirst(Effect.sleep(wait), wake)
      if (isDone()) return
      pause = Math.min(2 * pause, limits.longestPause)
    }
  })
