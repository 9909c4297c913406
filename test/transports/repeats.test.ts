// Repeats: the first of a group at once, the others as a count per interval, in a bounded table.
import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { limits } from "../../src/transports/limits.ts"
import { Repeats } from "../../src/transports/Repeats.ts"
import { Timers } from "../../src/transports/Timers.ts"

const setUp = Effect.gen(function* () {
  const reports: Array<readonly [string, number]> = []
  const repeats = new Repeats<string>({
    timers: yield* Timers.current,
    onRepeated: (event, count) => reports.push([event, count]),
    other: () => "others"
  })
  return {
    repeats,
    reports,
    interval: TestClock.adjust(Duration.sum(limits.reportInterval, "1 second"))
  }
})

it.effect("reports the first of each group, and then counts once per interval", () =>
  Effect.gen(function* () {
    const { repeats, reports, interval } = yield* setUp
    expect(repeats.add("a", "a1")).toBe("a1")
    expect(repeats.add("a", "a2")).toBeUndefined()
    expect(repeats.add("b", "b1")).toBe("b1")
    for (let count = 0; count < 8000; count++) repeats.add("a", "a3")
    expect(reports).toEqual([])
    yield* interval
    expect(reports).toEqual([["a3", 8001]])
    // The group goes on: what follows is counted, without another first.
    expect(repeats.add("a", "a4")).toBeUndefined()
    // The other was quiet for an interval, and is new again.
    expect(repeats.add("b", "b2")).toBe("b2")
    yield* interval
    expect(reports.slice(1)).toEqual([["a4", 1]])
    yield* interval
    expect([reports.length, repeats.size]).toEqual([2, 0])
    expect(repeats.add("a", "a5")).toBe("a5")
    // After a time without groups it counts on.
    expect(repeats.add("a", "a6")).toBeUndefined()
    yield* interval
    expect(reports.slice(2)).toEqual([["a6", 1]])
  })
)

it.effect("holds a bounded number of groups, and counts the others together", () =>
  Effect.gen(function* () {
    const { repeats, reports, interval } = yield* setUp
    let first = 0
    for (let source = 0; source < limits.reportGroups + 5000; source++)
      if (repeats.add(`source ${source}`, "event") !== undefined) first++
    expect(first).toBe(limits.reportGroups + 1)
    expect(repeats.size).toBe(limits.reportGroups + 1)
    yield* interval
    expect(reports).toEqual([["others", 4999]])
  })
)

it.effect("reports what was counted when it stops", () =>
  Effect.gen(function* () {
    const { repeats, reports, interval } = yield* setUp
    repeats.add("a", "a")
    repeats.add("a", "a")
    repeats.stop()
    expect(reports).toEqual([["a", 1]])
    yield* interval
    expect(reports.length).toBe(1)
  })
)

it.effect("has a timer only while it has groups, and none after it stops", () =>
  Effect.gen(function* () {
    const timers = yield* Timers.current
    let pending = 0
    const schedule = timers.schedule.bind(timers)
    timers.schedule = (millis, run) => {
      pending++
      const cancel = schedule(millis, () => {
        pending--
        run()
      })
      return () => {
        pending--
        cancel()
      }
    }
    const repeats = new Repeats<string>({ timers, onRepeated: () => {}, other: () => "others" })
    expect(pending).toBe(0)
    repeats.add("a", "a")
    repeats.add("b", "b")
    expect(pending).toBe(1)
    repeats.stop()
    expect(pending).toBe(0)
  })
)
