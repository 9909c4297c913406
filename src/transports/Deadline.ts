import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Timers } from "./Timers.ts"

/**
 * Waits for the deferred; completes it after the duration. For finalizers, which are
 * uninterruptible: Effect.timeout would never return there, and a second interruption would cut an
 * interruptible wait short.
 */
export const awaitAtMost = (
  deferred: Deferred.Deferred<void>,
  duration: Duration.DurationInput
): Effect.Effect<void> =>
  Effect.flatMap(Timers.current, (timers) => {
    const cancel = timers.scheduleRelease(Duration.toMillis(duration), () =>
      Deferred.unsafeDone(deferred, Effect.void)
    )
    return Effect.ensuring(Deferred.await(deferred), Effect.sync(cancel))
  }).pipe(Effect.uninterruptible)

/**
 * Waits until the function calls back, and at most for the duration. For finalizers, as
 * `awaitAtMost`.
 */
export const releaseAtMost = (
  duration: Duration.DurationInput,
  register: (done: () => void) => void
): Effect.Effect<void> =>
  Effect.flatMap(Timers.current, (timers) =>
    Effect.async<void>((resume) => {
      const done = () => {
        cancel()
        resume(Effect.void)
      }
      const cancel = timers.scheduleRelease(Duration.toMillis(duration), done)
      register(done)
    })
  )

/**
 * Effect.async with a deadline: resumes with `onTimeout` after the duration. Its timer needs no
 * fiber.
 */
export const asyncAtMost = <A, E>(
  duration: Duration.DurationInput,
  onTimeout: () => Effect.Effect<A, E>,
  register: (resume: (result: Effect.Effect<A, E>) => void) => void
): Effect.Effect<A, E> =>
  Effect.flatMap(Timers.current, (timers) =>
    Effect.async<A, E>((resume) => {
      const cancel = timers.schedule(Duration.toMillis(duration), () => resume(onTimeout()))
      register((result) => {
        cancel()
        resume(result)
      })
      return Effect.sync(cancel)
    })
  )
