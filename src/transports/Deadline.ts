import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * Waits until it is done, at most so long; then it is done. For finalizers, which nothing interrupts: there
 * Effect.timeout would wait on for ever, and an interruptible wait would be cut short by a second interruption.
 */
export const awaitAtMost = (deferred: Deferred.Deferred<void>, duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.gen(function* () {
    const timer = yield* Effect.sleep(duration).pipe(
      Effect.zipRight(Deferred.succeed(deferred, undefined)),
      Effect.interruptible,
      Effect.forkDaemon
    )
    yield* Deferred.await(deferred)
    yield* Fiber.interruptFork(timer)
  }).pipe(Effect.uninterruptible)
