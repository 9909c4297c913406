import {
  beginMessage,
  chunkBytes,
  maxChunks,
  sealChunk,
  sealedLength,
  type Message,
  type MessageOptions
} from "./Cobblestone.ts"

/** Seals the chunks of one message, piece by piece: what `update` gives, then what `finish` gives. The counter lives here and goes up. */
export class Sealer {
  readonly #message: Message
  #index = 0
  /** The beginning of a chunk that is not full yet. */
  readonly #pending = Buffer.allocUnsafeSlow(chunkBytes)
  #pendingBytes = 0
  #ended = false

  constructor(message: Message) {
    this.#message = message
  }

  /** The chunks that are full with these bytes. */
  update(plaintext: Uint8Array): Uint8Array {
    if (this.#ended) throw new TypeError("this message is finished")
    const full = Math.floor((this.#pendingBytes + plaintext.length) / chunkBytes)
    if (this.#index + full >= maxChunks) throw new RangeError("a message has at most 2^38 chunks")
    const sealed = Buffer.allocUnsafeSlow(sealedLength(full * chunkBytes) - sealedLength(0))
    let end = 0
    let rest = plaintext
    if (this.#pendingBytes > 0 && full > 0) {
      const missing = chunkBytes - this.#pendingBytes
      this.#pending.set(rest.subarray(0, missing), this.#pendingBytes)
      end = sealChunk(this.#message.keys, this.#index++, this.#pending, sealed, end)
      this.#pendingBytes = 0
      rest = rest.subarray(missing)
    }
    for (; rest.length >= chunkBytes; rest = rest.subarray(chunkBytes))
      end = sealChunk(this.#message.keys, this.#index++, rest.subarray(0, chunkBytes), sealed, end)
    this.#pending.set(rest, this.#pendingBytes)
    this.#pendingBytes += rest.length
    return sealed
  }

  /** The last chunk, always short. */
  finish(): Uint8Array {
    if (this.#ended) throw new TypeError("this message is finished")
    this.#ended = true
    const last = Buffer.alloc(sealedLength(this.#pendingBytes))
    sealChunk(
      this.#message.keys,
      this.#index,
      this.#pending.subarray(0, this.#pendingBytes),
      last,
      0
    )
    this.#pending.fill(0)
    return last
  }
}

/** A whole message at once, for what is short. */
export const sealMessage = (
  key: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
  options?: MessageOptions
): Uint8Array => {
  const message = beginMessage(key, context, options)
  const sealer = new Sealer(message)
  return Buffer.concat([message.prefix, sealer.update(plaintext), sealer.finish()])
}
