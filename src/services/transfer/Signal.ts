// Wakes one waiting fiber after a change. Without a waiter a notification costs nothing.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

export class Signal {
  #waiter: Deferred.Deferred<void> | undefined

  /** Completes at the next `notify`. */
  readonly wait: Effect.Effect<void> = Effect.suspend(() =>
    Deferred.await((this.#waiter ??= Deferred.unsafeMake<void>(FiberId.none)))
  )

  notify(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    if (waiter !== undefined) Deferred.unsafeDone(waiter, Effect.void)
  }
}
