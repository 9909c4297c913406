// Effects that are finished stay so, and others are run.
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { exitOf, map, mapError } from "../../src/services/finished.ts"

const double = (value: number) => 2 * value

it("knows the outcome of an effect that needs not be run, and of no other", () => {
  expect(exitOf(Effect.void)).toEqual(Exit.void)
  expect(exitOf(Effect.succeed(1))).toEqual(Exit.succeed(1))
  expect(exitOf(Effect.fail("e"))).toEqual(Exit.fail("e"))
  expect(exitOf(Effect.die("d"))).toEqual(Exit.die("d"))
  for (const effect of [Effect.sync(() => 1), Effect.suspend(() => Effect.void), Effect.yieldNow()])
    expect(exitOf(effect)).toBeUndefined()
})

it("maps a finished effect to a finished one", () => {
  expect(exitOf(map(Effect.succeed(1), double))).toEqual(Exit.succeed(2))
  expect(exitOf(map(Effect.fail("e"), double))).toEqual(Exit.fail("e"))
  expect(exitOf(mapError(Effect.fail(1), double))).toEqual(Exit.fail(2))
  expect(exitOf(mapError(Effect.succeed(1), () => "e"))).toEqual(Exit.succeed(1))
  expect(exitOf(mapError(Effect.die("d"), () => "e"))).toEqual(Exit.die("d"))
})

it.effect("maps an effect that is not finished when it is run", () =>
  Effect.gen(function* () {
    expect(
      yield* map(
        Effect.sync(() => 1),
        double
      )
    ).toBe(2)
    const failing = Effect.suspend(() => Effect.fail(1))
    expect(yield* Effect.exit(mapError(failing, double))).toEqual(Exit.fail(2))
  })
)
