// Answers each request once: a request that is sent again gets the cached reply. MESSAGES.md.
import * as Effect from "effect/Effect"
import * as MutableList from "effect/MutableList"
import { Deduplicator, idKey } from "./Deduplicator.ts"
import { Largest } from "./Largest.ts"
import type { Message } from "./MessageFrame.ts"

export const limits = {
  /**
   * Cached replies of one peer, and their bytes; the oldest go first. A client has at most 64
   * pending (MESSAGES.md).
   */
  repliesPerPeer: 1024,
  bytesPerPeer: 16 * 1024 * 1024,
  /** Cached replies of all peers, and their bytes; the peer with the most loses its oldest first. */
  replies: 65_536,
  bytes: 64 * 1024 * 1024
} as const

export class ReplyCache {
  readonly #handled = new Deduplicator()
  readonly #replies = new Map<string, Uint8Array>()
  #bytes = 0
  readonly #peers = new Map<string, PeerReplies>()
  readonly #mostReplies = new Largest<PeerReplies>()
  readonly #mostBytes = new Largest<PeerReplies>()

  /**
   * Calls `reply` for a new message and returns its reply; returns the cached reply for a message
   * that was handled before, or undefined when that reply is no longer cached.
   */
  replyOnce<E, R>(
    peer: string,
    message: Pick<Message, "id">,
    reply: () => Effect.Effect<Uint8Array, E, R>
  ): Effect.Effect<Uint8Array | undefined, E, R> {
    return Effect.suspend(() => {
      let fresh: Uint8Array | undefined
      const key = `${idKey(message)}${peer}`
      const handling = this.#handled.handleOnce(peer, [message], () =>
        Effect.map(reply(), (text) => {
          fresh = text
          this.#add(peer, key, text)
        })
      )
      return Effect.map(handling, () => fresh ?? this.#replies.get(key))
    })
  }

  /** Number of cached replies, and their bytes. */
  get size(): { readonly replies: number; readonly bytes: number } {
    return { replies: this.#replies.size, bytes: this.#bytes }
  }

  #add(peer: string, key: string, reply: Uint8Array): void {
    const ofPeer = this.#peers.get(peer) ?? { peer, keys: MutableList.empty<string>(), bytes: 0 }
    this.#peers.set(peer, ofPeer)
    const before = this.#replies.get(key)
    if (before === undefined) MutableList.append(ofPeer.keys, key)
    // A copy, because the reply may be a view of a much larger buffer.
    this.#replies.set(key, new Uint8Array(reply))
    this.#count(ofPeer, reply.length - (before?.length ?? 0))
    while (
      MutableList.length(ofPeer.keys) > limits.repliesPerPeer ||
      ofPeer.bytes > limits.bytesPerPeer
    )
      this.#forgetOldest(ofPeer)
    while (this.#replies.size > limits.replies) this.#forgetOldest(this.#mostReplies.item)
    while (this.#bytes > limits.bytes) this.#forgetOldest(this.#mostBytes.item)
  }

  #forgetOldest(ofPeer: PeerReplies | undefined): void {
    const key = ofPeer === undefined ? undefined : MutableList.shift(ofPeer.keys)
    if (ofPeer === undefined || key === undefined) return
    const bytes = this.#replies.get(key)?.length ?? 0
    this.#replies.delete(key)
    this.#count(ofPeer, -bytes)
    if (MutableList.isEmpty(ofPeer.keys)) this.#peers.delete(ofPeer.peer)
  }

  #count(ofPeer: PeerReplies, bytes: number): void {
    ofPeer.bytes += bytes
    this.#bytes += bytes
    this.#mostReplies.set(ofPeer, MutableList.length(ofPeer.keys))
    this.#mostBytes.set(ofPeer, ofPeer.bytes)
  }
}

interface PeerReplies {
  readonly peer: string
  /** Of its cached replies, oldest first. */
  readonly keys: MutableList.MutableList<string>
  bytes: number
}
