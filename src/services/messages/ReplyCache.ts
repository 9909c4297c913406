// A request that is sent again after a lost connection is answered once: the reply that it had is given again, while it is kept.
import * as Effect from "effect/Effect"
import { Deduplicator, idOf } from "./Deduplicator.ts"
import { idBytes, type Message } from "./MessageFrame.ts"

export const limits = {
  /** Replies that are kept of one peer, and bytes of them; the oldest go first. A client waits for 64 at most (MESSAGES.md). */
  ofOnePeer: 1024,
  bytesOfOnePeer: 16 * 1024 * 1024,
  /** Of all peers together. */
  ofAllPeers: 65_536,
  bytesOfAllPeers: 64 * 1024 * 1024
} as const

export class ReplyCache {
  readonly #handled = new Deduplicator()
  readonly #all = new Shelf()
  readonly #ofPeers = new Map<string, Shelf>()

  /** The reply of `answer`, or the one that was kept; undefined when the message was handled and its reply is kept no more. */
  once<E>(
    peer: string,
    message: Pick<Message, "id">,
    answer: () => Effect.Effect<Uint8Array, E>
  ): Effect.Effect<Uint8Array | undefined, E> {
    return Effect.suspend(() => {
      let fresh: Uint8Array | undefined
      const key = `${idOf(message)}${peer}`
      const handling = this.#handled.once(peer, [message], () =>
        Effect.map(answer(), (reply) => {
          fresh = reply
          this.#keep(peer, key, reply)
        })
      )
      return Effect.map(handling, () => fresh ?? this.#all.get(key))
    })
  }

  /** How many are kept, and bytes of them. */
  get size(): { readonly replies: number; readonly bytes: number } {
    return { replies: this.#all.count, bytes: this.#all.bytes }
  }

  #keep(peer: string, key: string, reply: Uint8Array): void {
    const theirs = this.#ofPeers.get(peer) ?? new Shelf()
    this.#ofPeers.set(peer, theirs)
    // A copy: it may be a view of much more.
    const text = new Uint8Array(reply)
    for (const shelf of [theirs, this.#all]) shelf.put(key, text)
    while (theirs.count > limits.ofOnePeer || theirs.bytes > limits.bytesOfOnePeer)
      this.#drop(theirs.oldest)
    while (this.#all.count > limits.ofAllPeers || this.#all.bytes > limits.bytesOfAllPeers)
      this.#drop(this.#all.oldest)
  }

  #drop(key: string): void {
    const peer = key.slice(idBytes)
    const theirs = this.#ofPeers.get(peer)
    theirs?.drop(key)
    if (theirs?.count === 0) this.#ofPeers.delete(peer)
    this.#all.drop(key)
  }
}

/** Replies in the order in which they came. */
class Shelf {
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

  put(key: string, text: Uint8Array): void {
    this.drop(key)
    this.#texts.set(key, text)
    this.bytes += text.length
  }

  drop(key: string): void {
    this.bytes -= this.#texts.get(key)?.length ?? 0
    this.#texts.delete(key)
  }
}
