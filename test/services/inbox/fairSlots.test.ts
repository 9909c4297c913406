// FairSlots: the share of one peer, the order of those who wait, and interruption.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { FairSlots } from "../../../src/services/inbox/FairSlots.ts"

/** Starts work that runs until it is finished; `running` lists the peers whose work runs. */
const workshop = (slots: number) => {
  const fair = new FairSlots(slots)
  const running: Array<string> = []
  const start = (peer: string) =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      const work = Effect.acquireUseRelease(
        Effect.sync(() => running.push(peer)),
        () => Deferred.await(done),
        () => Effect.sync(() => running.splice(running.indexOf(peer), 1))
      )
      const fiber = yield* Effect.fork(fair.withSlot(peer, work))
      yield* Effect.yieldNow()
      return {
        fiber,
        finish: Effect.zipRight(Deferred.succeed(done, undefined), Fiber.join(fiber))
      }
    })
  return { running, start }
}
const settle = Effect.repeatN(Effect.yieldNow(), 20)

describe("slots", () => {
  it.effect("are never all taken by one peer", () =>
    Effect.gen(function* () {
      const { running, start } = workshop(8)
      for (let count = 0; count < 20; count++) yield* start("mallory")
      yield* settle
      expect(running).toEqual(Array.from({ length: 6 }, () => "mallory"))
      yield* start("alice")
      yield* settle
      expect(running.at(-1)).toBe("alice")
    })
  )

  it.effect("that become free go to the peer that has the fewest", () =>
    Effect.gen(function* () {
      const { running, start } = workshop(3)
      const first = yield* start("mallory")
      for (let count = 0; count < 9; count++) yield* start("mallory")
      const bob = yield* start("bob")
      yield* start("alice")
      yield* settle
      expect(running).toEqual(["mallory", "mallory", "bob"])
      yield* first.finish
      yield* settle
      expect(running).toEqual(["mallory", "bob", "alice"])
      yield* bob.finish
      yield* settle
      expect(running).toEqual(["mallory", "alice", "mallory"])
    })
  )

  it.effect("go to the peers in turn", () =>
    Effect.gen(function* () {
      const { running, start } = workshop(1)
      const first = yield* start("carol")
      const second = yield* start("mallory")
      yield* start("mallory")
      yield* start("bob")
      yield* settle
      yield* first.finish
      yield* settle
      expect(running).toEqual(["mallory"])
      yield* second.finish
      yield* settle
      expect(running).toEqual(["bob"])
    })
  )

  it.effect("are free again when the work that gets one is interrupted at that moment", () =>
    Effect.gen(function* () {
      const fair = new FairSlots(1)
      const done = yield* Deferred.make<void>()
      let waiting: Fiber.RuntimeFiber<boolean> | undefined
      const first = yield* Effect.fork(
        Effect.zipRight(
          fair.withSlot("alice", Deferred.await(done)),
          // The slot was granted to the other, which has not run since.
          Effect.sync(() => waiting?.unsafeInterruptAsFork(FiberId.none))
        )
      )
      yield* settle
      waiting = yield* Effect.fork(fair.withSlot("bob", Effect.succeed(true)))
      yield* settle
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(first)
      expect((yield* Fiber.await(waiting))._tag).toBe("Failure")
      const later = yield* Effect.fork(fair.withSlot("carol", Effect.succeed(true)))
      yield* settle
      expect((yield* Fiber.poll(later))._tag).toBe("Some")
    })
  )

  it.effect("are at least one for each peer, and free again after an interruption", () =>
    Effect.gen(function* () {
      const { running, start } = workshop(1)
      const first = yield* start("alice")
      const second = yield* start("alice")
      const third = yield* start("alice")
      yield* settle
      expect(running).toEqual(["alice"])
      // One that waits, then the one that runs.
      yield* Fiber.interrupt(second.fiber)
      yield* Fiber.interrupt(first.fiber)
      yield* settle
      expect(running).toEqual(["alice"])
      yield* third.finish
      yield* settle
      expect(running).toEqual([])
      const last = yield* start("bob")
      yield* last.finish
    })
  )

  it.effect.prop(
    "are never exceeded, and none is lost",
    {
      slots: FastCheck.integer({ min: 1, max: 5 }),
      steps: FastCheck.array(
        FastCheck.tuple(FastCheck.constantFrom("a", "b", "c"), FastCheck.nat(2), FastCheck.nat(9)),
        { maxLength: 40 }
      )
    },
    ({ slots, steps }) =>
      Effect.gen(function* () {
        const { running, start } = workshop(slots)
        const started = []
        const share = Math.max(1, Math.floor(slots * 0.75))
        for (const [peer, action, which] of steps) {
          const one = started[which]
          if (action < 2 || one === undefined) started.push(yield* start(peer))
          else yield* Fiber.interrupt(one.fiber)
          yield* settle
          expect(running.length).toBeLessThanOrEqual(slots)
          for (const each of ["a", "b", "c"])
            expect(running.filter((name) => name === each).length).toBeLessThanOrEqual(share)
        }
        for (const { fiber } of started) yield* Fiber.interrupt(fiber)
        const after = []
        for (let count = 0; count < slots; count++) after.push(yield* start(`${count}`))
        yield* settle
        expect(running.length).toBe(slots)
        for (const { finish } of after) yield* finish
      })
  )
})
