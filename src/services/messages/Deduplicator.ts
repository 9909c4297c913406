// Handles each message once, although clients send unacknowledged messages again. MESSAGES.md.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { Message } from "./MessageFrame.ts"

export const limits = {
  /** Remembered ids of one peer: twice the window of a client (MESSAGES.md). */
  idsPerPeer: 32_768,
  /** Remembered ids of all peers. Above it, the peer with the most ids loses its oldest first. */
  ids: 1_000_000
} as const

/** The messages of one call of the handler. */
interface HandledBatch {
  readonly ids: Array<string>
  /** Completes when the handler returns; undefined after that. */
  inProgress: Deferred.Deferred<void> | undefined
}

interface PeerHistory {
  readonly byId: Map<string, HandledBatch>
  /** Oldest first. */
  readonly batches: Array<HandledBatch>
}

/** Remembers the ids of handled messages for each peer, in memory. */
export class Deduplicator {
  readonly #peers = new Map<string, PeerHistory>()
  #size = 0

  /**
   * Calls `handle` with the messages that are new, and returns when all messages are handled. When
   * another session is handling one of them, waits for that session first. A batch whose handler
   * fails is forgotten, so that it can be sent again.
   */
  handleOnce<M extends Pick<Message, "id">, E>(
    peer: string,
    messages: ReadonlyArray<M>,
    handle: (fresh: ReadonlyArray<M>) => Effect.Effect<void, E>
  ): Effect.Effect<void, E> {
    // An interruption between reserving the ids and releasing them would block other sessions for
    // ever.
    return Effect.uninterruptibleMask((restore) => {
      const history: PeerHistory = this.#peers.get(peer) ?? { byId: new Map(), batches: [] }
      const batch: HandledBatch = { ids: [], inProgress: undefined }
      const fresh: Array<M> = []
      let elsewhere: Deferred.Deferred<void> | undefined
      for (const message of messages) {
        const key = idKey(message)
        const known = history.byId.get(key)
        if (known === undefined) {
          history.byId.set(key, batch)
          batch.ids.push(key)
          fresh.push(message)
        } else if (known !== batch && known.inProgress !== undefined) {
          elsewhere = known.inProgress
          break
        }
      }
      if (elsewhere !== undefined) {
        for (const key of batch.ids) history.byId.delete(key)
        const again = Effect.zipRight(
          Deferred.await(elsewhere),
          this.handleOnce(peer, messages, handle)
        )
        return restore(again)
      }
      if (fresh.length === 0) return Effect.void
      const inProgress = Deferred.unsafeMake<void>(FiberId.none)
      batch.inProgress = inProgress
      this.#peers.set(peer, history)
      history.batches.push(batch)
      this.#size += batch.ids.length
      return Effect.onExit(restore(Effect.suspend(() => handle(fresh))), (exit) =>
        Effect.sync(() => {
          batch.inProgress = undefined
          if (Exit.isFailure(exit)) this.#forget(peer, history, batch)
          else this.#shrink(peer, history)
          Deferred.unsafeDone(inProgress, Effect.void)
        })
      )
    })
  }

  /** Number of remembered ids. */
  get size(): number {
    return this.#size
  }

  /** Number of peers with remembered ids. */
  get peerCount(): number {
    return this.#peers.size
  }

  #shrink(peer: string, history: PeerHistory): void {
    while (history.byId.size > limits.idsPerPeer && this.#forgetOldest(peer, history));
    while (this.#size > limits.ids) {
      const [largest, ids] = [...this.#peers].reduce((one, other) =>
        other[1].byId.size > one[1].byId.size ? other : one
      )
      if (!this.#forgetOldest(largest, ids)) return
    }
  }

  /** Returns false when every batch is still in progress. */
  #forgetOldest(peer: string, history: PeerHistory): boolean {
    const oldest = history.batches.find(({ inProgress }) => inProgress === undefined)
    if (oldest === undefined) return false
    this.#forget(peer, history, oldest)
    return true
  }

  #forget(peer: string, history: PeerHistory, batch: HandledBatch): void {
    for (const key of batch.ids) history.byId.delete(key)
    this.#size -= batch.ids.length
    const index = history.batches.indexOf(batch)
    if (index >= 0) history.batches.splice(index, 1)
    if (history.batches.length === 0) this.#peers.delete(peer)
  }
}

/** Returns the id as the key of a map: one character per byte. */
export const idKey = ({ id }: Pick<Message, "id">): string =>
  Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1")
