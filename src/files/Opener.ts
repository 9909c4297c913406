import {
  chunkBytes,
  maxChunks,
  openChunk,
  prefixBytes,
  resumeMessage,
  sealedChunkBytes,
  tagBytes,
  type Cobblestone,
  type MessageKeys
} from "./Cobblestone.ts"

/** Why a message does not open. It is final: later calls return the same failure. */
export type OpenFailure =
  /** The commitment does not match: another key or context, or a change. */
  | "wrong key"
  /** A chunk does not open. */
  | "changed"
  /** The end is missing, and no chunk was changed. */
  | "truncated"
  /** The last chunk does not open: it was changed, or is the start of a longer one. */
  | "changed or truncated"

export const isOpenFailure = (result: Uint8Array | OpenFailure): result is OpenFailure =>
  typeof result === "string"

/**
 * Opens the chunks of one message incrementally. The result of `update` is authentic and in its
 * place; only `finish` proves that nothing is missing.
 */
export class Opener {
  readonly #keys: MessageKeys
  #index = 0
  /** The start of an incomplete chunk. */
  readonly #pending = Buffer.allocUnsafeSlow(sealedChunkBytes)
  #pendingBytes = 0
  #failure: OpenFailure | undefined

  constructor(keys: MessageKeys) {
    this.#keys = keys
  }

  /** Index of the next chunk, which is the chunk that failed after a failure. */
  get index(): number {
    return this.#index
  }

  /**
   * Returns the plaintext of the chunks that these bytes complete. A full chunk is never the last.
   */
  update(bytes: Uint8Array): Uint8Array | OpenFailure {
    if (this.#failure !== undefined) return this.#failure
    const whole = Math.floor((this.#pendingBytes + bytes.length) / sealedChunkBytes)
    const plaintext = Buffer.allocUnsafeSlow(whole * chunkBytes)
    let end = 0
    let rest = bytes
    if (this.#pendingBytes > 0 && whole > 0) {
      const missing = sealedChunkBytes - this.#pendingBytes
      this.#pending.set(rest.subarray(0, missing), this.#pendingBytes)
      end = this.#open(this.#pending, plaintext, end)
      this.#pendingBytes = 0
      rest = rest.subarray(missing)
    }
    for (; end >= 0 && rest.length >= sealedChunkBytes; rest = rest.subarray(sealedChunkBytes))
      end = this.#open(rest.subarray(0, sealedChunkBytes), plaintext, end)
    if (end < 0) return (this.#failure = "changed")
    this.#pending.set(rest, this.#pendingBytes)
    this.#pendingBytes += rest.length
    return plaintext
  }

  /** Returns the plaintext of the last chunk, which is short. */
  finish(): Uint8Array | OpenFailure {
    if (this.#failure !== undefined) return this.#failure
    if (this.#pendingBytes < tagBytes) return (this.#failure = "truncated")
    const last = Buffer.alloc(this.#pendingBytes - tagBytes)
    const end = this.#open(this.#pending.subarray(0, this.#pendingBytes), last, 0)
    // The message has ended, so later calls must fail too.
    this.#failure = "changed or truncated"
    return end < 0 ? this.#failure : last
  }

  #open(sealed: Uint8Array, target: Buffer, offset: number): number {
    if (this.#index >= maxChunks) return -1
    const end = openChunk(this.#keys, this.#index, sealed, target, offset)
    if (end >= 0) this.#index++
    return end
  }
}

/** Opens a whole message at once, for short plaintexts. */
export const openMessage = (
  key: Uint8Array,
  context: Uint8Array,
  message: Uint8Array,
  cobblestone?: Cobblestone
): Uint8Array | OpenFailure => {
  if (message.length < prefixBytes) return "truncated"
  const keys = resumeMessage(key, context, message.subarray(0, prefixBytes), cobblestone)
  if (keys === undefined) return "wrong key"
  const opener = new Opener(keys)
  const first = opener.update(message.subarray(prefixBytes))
  if (isOpenFailure(first)) return first
  const last = opener.finish()
  return isOpenFailure(last) ? last : Buffer.concat([first, last])
}
