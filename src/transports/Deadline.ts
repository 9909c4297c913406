import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Timers } from "./Timers.ts"

/**
 * Waits until it is done, at most so long; then it is done. For finalizers, which nothing interrupts: there
 * Effect.timeout would wait on for ever, and an interruptible wait would be cut short by a second interruption.
 */
export const awaitAtMost = (
  deferred: Deferred.Deferred<void>,
  duration: Duration.DurationInput
): Effect.Effect<void> =>
  Effect.flatMap(Timers.current, (timers) => {
    const stop = timers.schedule(Duration.toMillis(duration), () =>
      Deferred.unsafeDone(deferred, Effect.void)
    )
    return Effect.ensuring(Deferred.await(deferred), Effect.sync(stop))
  }).pipe(Effect.uninterruptible)

/** As Effect.async; after so long with nothing `late`. The timer costs no fiber. */
export const asyncAtMost = <A, E>(
  duration: Duration.DurationInput,
  late: () => Effect.Effect<A, E>,
  register: (resume: (result: Effect.Effect<A, E>) => void) => void
): Effect.Effect<A, E> =>
  Effect.flatMap(Timers.current, (timers) =>
    Effect.async<A, E>((resume) => {
      const stop = timers.schedule(Duration.toMillis(duration), () => resume(late()))
      register((result) => {
        stop()
        resume(result)
      })
      return Effect.sync(stop)
    })
  )
