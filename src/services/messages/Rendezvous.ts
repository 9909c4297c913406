// Hands messages to the reader of a Stream, one by one, and waits until it has handled each.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** An item that waits for a reader, or is being handled by one. */
interface Offered<A, E> {
  readonly item: A
  readonly handled: Deferred.Deferred<void, E>
  /** Nobody waits for it any more. */
  isGone: boolean
}

export class Rendezvous<A, E> {
  /** Unbounded, because everyone who offers waits. */
  readonly #offered = Effect.runSync(Queue.unbounded<Offered<A, E>>())
  readonly #unhandled: () => E

  /** `unhandled` makes the error for an item whose reader has failed. */
  constructor(unhandled: () => E) {
    this.#unhandled = unhandled
  }

  /** Completes when a reader has handled the item. */
  offer(item: A): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      const offered = { item, handled: Deferred.unsafeMake<void, E>(FiberId.none), isGone: false }
      this.#offered.unsafeOffer(offered)
      return Effect.onInterrupt(Deferred.await(offered.handled), () =>
        Effect.sync(() => {
          offered.isGone = true
        })
      )
    })
  }

  /**
   * The items. One is handled when its reader demands the next one, or ends the stream without an
   * error.
   */
  readonly stream: Stream.Stream<A> = Stream.unwrapScoped(Effect.suspend(() => this.#read))

  get #read(): Effect.Effect<Stream.Stream<A>, never, Scope.Scope> {
    return Effect.suspend(() => {
      let current: Offered<A, E> | undefined
      const settle = (outcome: Effect.Effect<void, E>) => {
        if (current !== undefined) Deferred.unsafeDone(current.handled, outcome)
        current = undefined
      }
      const next: Effect.Effect<A> = Effect.suspend(() => {
        settle(Effect.void)
        return Effect.flatMap(Queue.take(this.#offered), (offered) => {
          if (offered.isGone) return next
          current = offered
          return Effect.succeed(offered.item)
        })
      })
      const finalizer = (exit: Exit.Exit<unknown, unknown>) =>
        Effect.sync(() =>
          settle(Exit.isSuccess(exit) ? Effect.void : Effect.fail(this.#unhandled()))
        )
      return Effect.as(Effect.addFinalizer(finalizer), Stream.repeatEffect(next))
    })
  }
}
