// Somebody waits for a change; most often nobody does, and then a change costs nothing.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

export class Signal {
  #next: Deferred.Deferred<void> | undefined

  /** Done at the next `tell`. */
  readonly wait: Effect.Effect<void> = Effect.suspend(() =>
    Deferred.await((this.#next ??= Deferred.unsafeMake<void>(FiberId.none)))
  )

  notify(): void {
    const next = this.#next
    this.#next = undefined
    if (next !== undefined) Deferred.unsafeDone(next, Effect.void)
  }
}
