// The end of a pool while its channels are still being opened. The clock is the test's and stands
// still: a pool that waited for them would not end.
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ChannelPool from "../../../src/services/tunnel/ChannelPool.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"

it.effect.each([0, 1, 3])("a pool of %s ends at once when no server answers", (size) =>
  Effect.gen(function* () {
    let [opened, interrupted] = [0, 0]
    const open = () =>
      Effect.suspend(() => {
        opened++
        return Effect.never
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => interrupted++)))
    const running = yield* Effect.fork(
      Effect.gen(function* () {
        const pool = yield* ChannelPool.make<never, never>({ open, size })
        // Somebody waits, also in a pool that keeps no channel ready.
        yield* Effect.fork(Effect.ignore(pool.take))
        yield* pause(20)
      }).pipe(Effect.scoped)
    )
    yield* withTimeout("the end of the pool", Fiber.join(running))
    expect(opened).toBeGreaterThan(0)
    expect(interrupted).toBe(opened)
  })
)
