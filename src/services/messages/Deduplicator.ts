// Handles each message once, although clients send unacknowledged messages again. MESSAGES.md.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as MutableList from "effect/MutableList"
import { Largest } from "./Largest.ts"
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
  readonly peer: string
  readonly byId: Map<string, HandledBatch>
  /** Batches that are handled, in that order. */
  readonly handled: MutableList.MutableList<HandledBatch>
  /** Number of ids in them. */
  handledIds: number
}

/** Remembers the ids of handled messages for each peer, in memory. */
export class Deduplicator {
  readonly #peers = new Map<string, PeerHistory>()
  /** By the number of handled ids. */
  readonly #largest = new Largest<PeerHistory>()
  #size = 0

  /**
   * Calls `handle` with the messages that are new, and returns when all messages are handled. When
   * another session is handling one of them, waits for that session first. A batch whose handler
   * fails is forgotten, so that it can be sent again.
   */
  handleOnce<M extends Pick<Message, "id">, E, R>(
    peer: string,
    messages: ReadonlyArray<M>,
    handle: (fresh: ReadonlyArray<M>) => Effect.Effect<void, E, R>
  ): Effect.Effect<void, E, R> {
    // An interruption between reserving the ids and releasing them would block other sessions for
    // ever.
    return Effect.uninterruptibleMask((restore) => {
      const history = this.#peers.get(peer) ?? newHistory(peer)
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
      this.#size += batch.ids.length
      return Effect.onExit(restore(Effect.suspend(() => handle(fresh))), (exit) =>
        Effect.sync(() => {
          batch.inProgress = undefined
          if (Exit.isFailure(exit)) this.#forget(history, batch)
          else this.#keep(history, batch)
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

  #keep(history: PeerHistory, batch: HandledBatch): void {
    MutableList.append(history.handled, batch)
    history.handledIds += batch.ids.length
    while (history.byId.size > limits.idsPerPeer && this.#forgetOldest(history));
    this.#largest.set(history, history.handledIds)
    while (this.#size > limits.ids) {
      const largest = this.#largest.item
      if (largest === undefined) return
      this.#forgetOldest(largest)
      this.#largest.set(largest, largest.handledIds)
    }
  }

  /** Returns false when no batch is handled. */
  #forgetOldest(history: PeerHistory): boolean {
    const oldest = MutableList.shift(history.handled)
    if (oldest === undefined) return false
    history.handledIds -= oldest.ids.length
    this.#forget(history, oldest)
    return true
  }

  #forget(history: PeerHistory, batch: HandledBatch): void {
    for (const key of batch.ids) history.byId.delete(key)
    this.#size -= batch.ids.length
    if (history.byId.size === 0) this.#peers.delete(history.peer)
  }
}

const newHistory = (peer: string): PeerHistory => ({
  peer,
  byId: new Map(),
  handled: MutableList.empty(),
  handledIds: 0
})

/** Returns the id as the key of a map: one character per byte. */
export const idKey = ({ id }: Pick<Message, "id">): string =>
  Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1")
