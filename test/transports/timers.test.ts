// Timers that share one fiber: when they fire, after changes of the clock, and after failing
// callbacks.
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { Timers } from "../../src/transports/Timers.ts"
import { pause, waitUntil } from "../../src/testing/steps.ts"

describe("timers", () => {
  it.effect.prop(
    "fire once, never early, in order, and not after cancellation",
    {
      waits: FastCheck.array(
        FastCheck.tuple(
          FastCheck.oneof(FastCheck.nat(5000), FastCheck.nat(2)),
          FastCheck.boolean()
        ),
        {
          maxLength: 30
        }
      )
    },
    ({ waits }) =>
      Effect.gen(function* () {
        const timers = yield* Timers.current
        const began = timers.now
        const rung: Array<number> = []
        const stops = waits.map(([wait, stopped], index) => ({
          stopped,
          stop: timers.schedule(wait, () => {
            expect(timers.now - began).toBeGreaterThanOrEqual(wait)
            rung.push(index)
          })
        }))
        for (const { stopped, stop } of stops) if (stopped) stop()
        for (let step = 0; step < 26; step++) yield* TestClock.adjust(200)
        const expected = waits.flatMap(([, stopped], index) => (stopped ? [] : [index]))
        expect(rung.toSorted((a, b) => a - b)).toEqual(expected)
        const grains = rung.map((index) => Math.ceil(Math.max(1, waits[index]?.[0] ?? 0) / 20))
        expect(grains).toEqual(grains.toSorted((a, b) => a - b))
      }),
    { fastCheck: { numRuns: 12 } }
  )

  it.live("are not affected by changes of the wall clock", () =>
    Effect.gen(function* () {
      const real = yield* Effect.clock
      let shift = 0
      const set: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => real.unsafeCurrentTimeMillis() + shift,
        unsafeCurrentTimeNanos: () => real.unsafeCurrentTimeNanos(),
        currentTimeMillis: Effect.map(real.currentTimeMillis, (millis) => millis + shift),
        currentTimeNanos: real.currentTimeNanos,
        sleep: (duration) => real.sleep(duration)
      }
      const timers = yield* Effect.withClock(Timers.current, set)
      const rung: Array<string> = []
      for (const [name, by] of [
        ["back", -60_000],
        ["forward", 3_600_000]
      ] as const) {
        timers.schedule(100, () => rung.push(`${name}, before`))
        shift += by
        timers.schedule(150, () => rung.push(`${name}, after`))
        yield* waitUntil(name, () => rung.length === 2)
        expect(rung.splice(0)).toEqual([`${name}, before`, `${name}, after`])
      }
    })
  )

  it.effect("that throw are logged, and the others still fire", () =>
    Effect.gen(function* () {
      const timers = yield* Timers.current
      const rung: Array<string> = []
      timers.schedule(100, () => {
        throw new Error("a fault of this test")
      })
      timers.schedule(100, () => rung.push("beside"))
      timers.schedule(200, () => rung.push("later"))
      yield* TestClock.adjust(100)
      yield* TestClock.adjust(100)
      yield* pause(5)
      expect(rung).toEqual(["beside", "later"])
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )
})
