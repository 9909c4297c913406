// Retries: pauses that double, differ between clients, and end at the deadline. The clock is the
// test's.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import { limits, runWithRetry, type Failure, type Retry } from "../../src/services/Retry.ts"
import { pause } from "../../src/testing/steps.ts"

const passing: Failure = { _tag: "Passing", message: "try again", transient: true }

interface Given {
  readonly retry?: Partial<Retry>
  readonly seed?: number
  readonly error?: Failure
  readonly hasConnected?: boolean
  readonly progress?: () => number
  /** The longest time that is looked at, in milliseconds. */
  readonly until?: number
}

/** Runs sessions that all fail; returns the pauses between them, and their number. */
const pausesOf = ({
  retry = {},
  seed = 1,
  error = passing,
  hasConnected = true,
  progress = () => 0,
  until = 400_000
}: Given) =>
  Effect.gen(function* () {
    const pauses: Array<number> = []
    let sessions = 0
    const running = yield* Effect.fork(
      runWithRetry(
        Effect.suspend(() => {
          sessions++
          return Effect.fail(error)
        }),
        { deadline: "1 minute", includesFirstAttempt: false, ...retry },
        { progress, hasConnected: () => hasConnected },
        (_, millis) => Effect.sync(() => void pauses.push(millis))
      ).pipe(Effect.withRandom(Random.make(seed)))
    )
    const step = Math.min(until, limits.longestPause)
    for (let now = 0; running.unsafePoll() === null && now < until; now += step) {
      yield* TestClock.adjust(step)
      yield* pause(1)
    }
    const poll = running.unsafePoll()
    yield* Fiber.interrupt(running)
    return { pauses, sessions, hasEnded: poll !== null }
  })

describe("pauses", () => {
  it.effect("double up to the longest, each less by up to a half", () =>
    Effect.gen(function* () {
      const { pauses, hasEnded } = yield* pausesOf({ retry: { deadline: "3 minutes" } })
      expect(hasEnded).toBe(true)
      expect(pauses.length).toBeGreaterThan(10)
      for (const [index, millis] of pauses.slice(0, -1).entries()) {
        const whole = Math.min(limits.firstPause * 2 ** index, limits.longestPause)
        expect(millis).toBeGreaterThanOrEqual(whole / 2)
        expect(millis).toBeLessThanOrEqual(whole)
      }
      // Jitter: not all by the same part.
      const longest = pauses.slice(8, -1)
      expect(new Set(longest).size).toBeGreaterThan(1)
    })
  )

  it.effect("of two clients differ, so that they do not come back together", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* pausesOf({ seed: 1 }), yield* pausesOf({ seed: 2 })]
      expect(one.pauses).not.toEqual(other.pauses)
    })
  )

  it.effect("start again from the first after progress, and so does the deadline", () =>
    Effect.gen(function* () {
      let count = 0
      const { pauses, hasEnded } = yield* pausesOf({
        progress: () => count++,
        retry: { deadline: 500 },
        until: 2000
      })
      expect(hasEnded).toBe(false)
      expect(pauses.length).toBeGreaterThan(15)
      for (const millis of pauses) expect(millis).toBeLessThanOrEqual(limits.firstPause)
    })
  )
})

describe("an attempt is not repeated", () => {
  it.effect("after the deadline", () =>
    Effect.gen(function* () {
      const { pauses, hasEnded } = yield* pausesOf({ retry: { deadline: "1 second" } })
      expect(hasEnded).toBe(true)
      // Exactly: the last pause ends with the deadline.
      expect(pauses.length).toBeGreaterThan(2)
      expect(yield* pausesOf({ retry: { deadline: 0 } })).toEqual({
        pauses: [],
        sessions: 1,
        hasEnded: true
      })
    })
  )

  it.effect("after a final error, or when the first was never connected", () =>
    Effect.gen(function* () {
      const once = { pauses: [], sessions: 1, hasEnded: true }
      expect(yield* pausesOf({ error: { _tag: "Final", message: "no" } })).toEqual(once)
      expect(yield* pausesOf({ hasConnected: false })).toEqual(once)
      const later: Failure = { _tag: "Later", message: "no", transientOnceConnected: true }
      const retry = { includesFirstAttempt: true }
      expect(yield* pausesOf({ error: later, hasConnected: false, retry })).toEqual(once)
      expect((yield* pausesOf({ error: later, retry })).sessions).toBeGreaterThan(2)
      expect((yield* pausesOf({ hasConnected: false, retry })).sessions).toBeGreaterThan(2)
    })
  )
})
