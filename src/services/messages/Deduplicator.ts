// A message that is sent again after a lost connection is handled once: which ids have been handled, and which are right now.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { Message } from "./MessageFrame.ts"

export const limits = {
  /** Ids that are remembered of one peer: twice what a client may have without a receipt (MESSAGES.md). */
  ofOnePeer: 32_768,
  /** Ids that are remembered in all; beyond, those of the peer with the most go first. */
  ofAllPeers: 1_000_000
} as const

/** Messages that are handed to the handler together. */
interface Batch {
  readonly ids: Array<string>
  /** Undefined once it is handled; till then those wait here who were sent the same again. */
  handling: Deferred.Deferred<void> | undefined
}

interface Remembered {
  readonly byId: Map<string, Batch>
  /** The oldest first. */
  readonly batches: Array<Batch>
}

export class Deduplicator {
  readonly #peers = new Map<string, Remembered>()
  #size = 0

  /**
   * Hands over those of the messages that have not been handled yet; done when all are. Of what another session has in hand, it waits
   * for that one first. What the handler fails at is as if it had never come.
   */
  once<M extends Pick<Message, "id">, E>(
    peer: string,
    messages: ReadonlyArray<M>,
    handle: (fresh: ReadonlyArray<M>) => Effect.Effect<void, E>
  ): Effect.Effect<void, E> {
    // Nothing between taking the ids and what lets them go again: whoever waits for them would wait for ever.
    return Effect.uninterruptibleMask((restore) => {
      const remembered: Remembered = this.#peers.get(peer) ?? { byId: new Map(), batches: [] }
      const batch: Batch = { ids: [], handling: undefined }
      const fresh: Array<M> = []
      let other: Deferred.Deferred<void> | undefined
      for (const message of messages) {
        const id = idOf(message)
        const before = remembered.byId.get(id)
        if (before === undefined) {
          remembered.byId.set(id, batch)
          batch.ids.push(id)
          fresh.push(message)
        } else if (before !== batch && before.handling !== undefined) {
          other = before.handling
          break
        }
      }
      if (other !== undefined) {
        for (const id of batch.ids) remembered.byId.delete(id)
        return restore(Effect.zipRight(Deferred.await(other), this.once(peer, messages, handle)))
      }
      if (fresh.length === 0) return Effect.void
      const handling = Deferred.unsafeMake<void>(FiberId.none)
      batch.handling = handling
      this.#peers.set(peer, remembered)
      remembered.batches.push(batch)
      this.#size += batch.ids.length
      return Effect.onExit(restore(Effect.suspend(() => handle(fresh))), (exit) =>
        Effect.sync(() => {
          batch.handling = undefined
          if (Exit.isFailure(exit)) this.#forget(peer, remembered, batch)
          else this.#shrink(peer, remembered)
          Deferred.unsafeDone(handling, Effect.void)
        })
      )
    })
  }

  /** How many are remembered. */
  get size(): number {
    return this.#size
  }

  /** Of how many peers. */
  get peers(): number {
    return this.#peers.size
  }

  #shrink(peer: string, remembered: Remembered): void {
    while (remembered.byId.size > limits.ofOnePeer && this.#forgetOldest(peer, remembered));
    while (this.#size > limits.ofAllPeers) {
      const [most, theirs] = [...this.#peers].reduce((one, other) =>
        other[1].byId.size > one[1].byId.size ? other : one
      )
      if (!this.#forgetOldest(most, theirs)) return
    }
  }

  /** False when all are still being handled. */
  #forgetOldest(peer: string, remembered: Remembered): boolean {
    const oldest = remembered.batches.find(({ handling }) => handling === undefined)
    if (oldest === undefined) return false
    this.#forget(peer, remembered, oldest)
    return true
  }

  #forget(peer: string, remembered: Remembered, batch: Batch): void {
    for (const id of batch.ids) remembered.byId.delete(id)
    this.#size -= batch.ids.length
    const index = remembered.batches.indexOf(batch)
    if (index >= 0) remembered.batches.splice(index, 1)
    if (remembered.batches.length === 0) this.#peers.delete(peer)
  }
}

/** As the key of a map: one character a byte. */
export const idOf = ({ id }: Pick<Message, "id">): string =>
  Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1")
