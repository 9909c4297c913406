import {
  beginMessage,
  chunkBytes,
  maxChunks,
  sealChunk,
  sealedLength,
  type Message,
  type MessageOptions
} from "./Cobblestone.ts"

/**
 * Seals the chunks of one message incrementally: the results of `update`, then that of `finish`.
 * The chunk counter is private, so that no index is sealed twice.
 */
export class Sealer {
  readonly #message: Message
  #index = 0
  /** The start of a chunk that is not full yet. */
  readonly #pending = Buffer.allocUnsafeSlow(chunkBytes)
  #pendingBytes = 0
  #isFinished = false

  constructor(message: Message) {
    this.#message = message
  }

  /** Returns the chunks that these bytes complete. */
  update(plaintext: Uint8Array): Uint8Array {
    if (this.#isFinished) throw new TypeError("this message is finished")
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

  /** Returns the last chunk, which is always short. */
  finish(): Uint8Array {
    if (this.#isFinished) throw new TypeError("this message is finished")
    this.#isFinished = true
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

/** Seals a whole message at once, for short plaintexts. */
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
