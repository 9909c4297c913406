// Slots for commands that run at the same time, shared fairly by the peers that they run for.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { limits } from "./limits.ts"

/**
 * A number of slots. One peer has at most `limits.execShare` of them, and at least one. A free slot
 * goes to the waiting peer that has the fewest; of several to the one that has waited the longest.
 */
export class FairSlots {
  readonly #perPeer: number
  #free: number
  readonly #taken = new Map<string, number>()
  /** Waiting requests by peer, oldest first; the peer that got a slot last comes last. */
  readonly #waiting = new Map<string, Set<Deferred.Deferred<void>>>()

  constructor(slots: number) {
    this.#free = slots
    this.#perPeer = Math.max(1, Math.floor(slots * limits.execShare))
  }

  /** Runs the effect in a slot, and waits for one before. */
  withSlot<A, E, R>(peer: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      this.#acquire(peer),
      () => effect,
      () => Effect.sync(() => this.#release(peer))
    )
  }

  #acquire(peer: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const granted = Deferred.unsafeMake<void>(FiberId.none)
      const waiting = this.#waiting.get(peer) ?? new Set()
      this.#waiting.set(peer, waiting.add(granted))
      this.#dispatch()
      // `acquireUseRelease` makes this uninterruptible, but a session must be able to end here.
      return Effect.onInterrupt(Effect.interruptible(Deferred.await(granted)), () =>
        Effect.sync(() => {
          if (waiting.delete(granted)) this.#forgetIdle(peer)
          else this.#release(peer)
        })
      )
    })
  }

  #release(peer: string): void {
    this.#free++
    this.#taken.set(peer, (this.#taken.get(peer) ?? 1) - 1)
    if (this.#taken.get(peer) === 0) this.#taken.delete(peer)
    this.#dispatch()
  }

  #dispatch(): void {
    while (this.#free > 0) {
      const peer = this.#next()
      if (peer === undefined) return
      const waiting = this.#waiting.get(peer) ?? new Set()
      const [granted] = waiting
      if (granted === undefined) return
      waiting.delete(granted)
      this.#waiting.delete(peer)
      if (waiting.size > 0) this.#waiting.set(peer, waiting)
      this.#free--
      this.#taken.set(peer, (this.#taken.get(peer) ?? 0) + 1)
      Deferred.unsafeDone(granted, Effect.void)
    }
  }

  /** The waiting peer that has the fewest slots, and may have another. */
  #next(): string | undefined {
    let next: string | undefined
    let fewest = this.#perPeer
    for (const peer of this.#waiting.keys()) {
      const taken = this.#taken.get(peer) ?? 0
      if (taken < fewest) [next, fewest] = [peer, taken]
    }
    return next
  }

  #forgetIdle(peer: string): void {
    if (this.#waiting.get(peer)?.size === 0) this.#waiting.delete(peer)
  }
}
