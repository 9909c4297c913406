// The next step after an attempt that did not handle a message: a pause and another attempt, or the
// end as a dead letter. INBOX.md section 8.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Printable from "../../bytes/Printable.ts"
import type { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import {
  failuresOf,
  type Deferral,
  type LeaseOptions,
  type StoredMessage,
  type StoredMessages
} from "./StoredMessage.ts"

/**
 * The consequence of a failed attempt for the message.
 *
 * - `failed`: another attempt after a pause, up to the maximum number of failed attempts.
 * - `later`: another attempt after a pause; the attempt does not count as failed.
 * - `dead`: no further attempt; the message becomes a dead letter at once.
 */
export type Verdict = "failed" | "later" | "dead"

/** A handler did not handle a message. */
export class HandlingFailed extends Data.TaggedError("HandlingFailed")<{
  /** A clause: "the command exited with status 3". It is stored with the message. */
  readonly reason: string
  readonly verdict: Verdict
}> {
  override get message(): string {
    return `message not handled: ${this.reason}`
  }
}

/** The stored facts of a message that was not handled. */
export type Consequence =
  | (Deferral & { readonly _tag: "Deferred" })
  | { readonly _tag: "Dead"; readonly error: string }

/** Returns the pause after the nth attempt without success, in milliseconds, for 0 <= random < 1. */
export const pauseAfter = (nth: number, random: number): number =>
  Math.ceil(
    Math.min(limits.firstPauseMillis * 2 ** Math.max(0, nth - 1), limits.longestPauseMillis) *
      (0.5 + random / 2)
  )

/**
 * Decides what follows a failed attempt of the message, which counts in `stored.attempts`. It is a
 * dead letter after `maxAttempts` failed ones.
 */
export const consequence = (
  stored: StoredMessage,
  { reason, verdict }: Pick<HandlingFailed, "reason" | "verdict">,
  maxAttempts: number,
  random: number
): Consequence => {
  const error = Printable.line(reason).slice(0, limits.errorCharacters)
  const failures = failuresOf(stored)
  if (verdict === "dead" || (verdict === "failed" && failures >= maxAttempts))
    return { _tag: "Dead", error }
  const counts = verdict === "failed"
  const millis = pauseAfter(counts ? failures : stored.uncounted + 1, random)
  return { _tag: "Deferred", error, millis, counts }
}

/** Ends the lease of a message that was not handled. Returns what follows. */
export const fail = (
  messages: StoredMessages,
  stored: StoredMessage,
  failure: Pick<HandlingFailed, "reason" | "verdict">,
  maxAttempts: number
): Effect.Effect<Consequence, InboxRefused> =>
  Effect.gen(function* () {
    const next = consequence(stored, failure, maxAttempts, yield* Random.next)
    yield* next._tag === "Dead" ? messages.bury(stored, next.error) : messages.defer(stored, next)
    return next
  })

/** Messages that a lease request returned. */
export interface Leased {
  readonly messages: ReadonlyArray<StoredMessage>
  /**
   * Those that became dead letters instead: each was delivered `maxAttempts` times, and its consumer
   * neither handled it nor said that it failed. It was killed, perhaps by the message.
   */
  readonly dead: ReadonlyArray<StoredMessage & { readonly error: string }>
}

/** Leases messages, without those that have used up their attempts. */
export const lease = (
  messages: StoredMessages,
  options: LeaseOptions,
  maxAttempts: number
): Effect.Effect<Leased, InboxRefused> =>
  Effect.gen(function* () {
    const leased = yield* messages.lease(options)
    const isSpent = (stored: StoredMessage) => failuresOf(stored) > maxAttempts
    const dead = yield* Effect.forEach(leased.filter(isSpent), (stored) => {
      const error = spent(stored)
      return Effect.as(messages.bury(stored, error), { ...stored, error })
    })
    return { messages: leased.filter((stored) => !isSpent(stored)), dead }
  })

const spent = (stored: StoredMessage): string => {
  const last = stored.error === undefined ? "" : `; the last error: ${stored.error}`
  return (
    `the last of ${failuresOf(stored) - 1} attempts did not end within its lease: ` +
    `its consumer was killed or too slow${last}`
  ).slice(0, limits.errorCharacters)
}
