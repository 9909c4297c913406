// Answers each request once: a request that is sent again gets the cached reply. MESSAGES.md.
import * as Effect from "effect/Effect"
import { Deduplicator, idKey } from "./Deduplicator.ts"
import { idBytes, type Message } from "./MessageFrame.ts"

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
  readonly #all = new ReplyQueue()
  readonly #byPeer = new Map<string, ReplyQueue>()

  /**
   * Calls `reply` for a new message and returns its reply; returns the cached reply for a message
   * that was handled before, or undefined when that reply is no longer cached.
   */
  replyOnce<E>(
    peer: string,
    message: Pick<Message, "id">,
    reply: () => Effect.Effect<Uint8Array, E>
  ): Effect.Effect<Uint8Array | undefined, E> {
    return Effect.suspend(() => {
      let fresh: Uint8Array | undefined
      const key = `${idKey(message)}${peer}`
      const handling = this.#handled.handleOnce(peer, [message], () =>
        Effect.map(reply(), (text) => {
          fresh = text
          this.#add(peer, key, text)
        })
      )
      return Effect.map(handling, () => fresh ?? this.#all.get(key))
    })
  }

  /** Number of cached replies, and their bytes. */
  get size(): { readonly replies: number; readonly bytes: number } {
    return { replies: this.#all.count, bytes: this.#all.bytes }
  }

  #add(peer: string, key: string, reply: Uint8Array): void {
    const ofPeer = this.#byPeer.get(peer) ?? new ReplyQueue()
    this.#byPeer.set(peer, ofPeer)
    // A copy, because the reply may be a view of a much larger buffer.
    const text = new Uint8Array(reply)
    for (const queue of [ofPeer, this.#all]) queue.add(key, text)
    while (ofPeer.count > limits.repliesPerPeer || ofPeer.bytes > limits.bytesPerPeer)
      this.#remove(ofPeer.oldest)
    while (this.#all.count > limits.replies) this.#remove(this.#largest("count").oldest)
    while (this.#all.bytes > limits.bytes) this.#remove(this.#largest("bytes").oldest)
  }

  /** The replies of the peer that has the most: it loses its own, and not those of others. */
  #largest(by: "count" | "bytes"): ReplyQueue {
    return [...this.#byPeer.values()].reduce((one, other) => (other[by] > one[by] ? other : one))
  }

  #remove(key: string): void {
    const peer = key.slice(idBytes)
    const ofPeer = this.#byPeer.get(peer)
    ofPeer?.remove(key)
    if (ofPeer?.count === 0) this.#byPeer.delete(peer)
    this.#all.remove(key)
  }
}

/** Replies in the order of their arrival. */
class ReplyQueue {
  readonly #texts = new Map<string, Uint8Array>()
  bytes = 0

  get count(): number {
    return this.#texts.size
  }

  get oldest(): string {
    const [key = ""] = this.#texts.keys()
    return key
  }

  get(key: string): Uint8Array | undefined {
    return this.#texts.get(key)
  }

  add(key: string, text: Uint8Array): void {
    this.remove(key)
    this.#texts.set(key, text)
    this.bytes += text.length
  }

  remove(key: string): void {
    this.bytes -= this.#texts.get(key)?.length ?? 0
    this.#texts.delete(key)
  }
}
