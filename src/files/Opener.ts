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

/** What is said instead of bytes. It ends the message: everything after is refused the same way. */
export type OpenFailure =
  /** The commitment is of another key or context, or was changed. */
  | "wrong key"
  /** A chunk does not open. */
  | "changed"
  /** The end is missing; nothing was found changed. */
  | "truncated"
  /** The last chunk does not open: it was changed, or is the beginning of a longer one. */
  | "changed or truncated"

export const isOpenFailure = (result: Uint8Array | OpenFailure): result is OpenFailure =>
  typeof result === "string"

/**
 * Opens the chunks of one message, piece by piece. What `update` gives is proven to be in its place; that nothing is missing is proven
 * when `finish` has given the last.
 */
export class Opener {
  readonly #keys: MessageKeys
  #index = 0
  /** The beginning of a chunk that is not whole yet. */
  readonly #pending = Buffer.allocUnsafeSlow(sealedChunkBytes)
  #pendingBytes = 0
  #refusal: OpenFailure | undefined

  constructor(keys: MessageKeys) {
    this.#keys = keys
  }

  /** The number of the next chunk, which is where a refusal was. */
  get index(): number {
    return this.#index
  }

  /** The plaintext of the chunks that are whole with these bytes. A chunk of full length is never the last one. */
  update(bytes: Uint8Array): Uint8Array | OpenFailure {
    if (this.#refusal !== undefined) return this.#refusal
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
    if (end < 0) return (this.#refusal = "changed")
    this.#pending.set(rest, this.#pendingBytes)
    this.#pendingBytes += rest.length
    return plaintext
  }

  /** The plaintext of the last chunk, which is short. */
  finish(): Uint8Array | OpenFailure {
    if (this.#refusal !== undefined) return this.#refusal
    if (this.#pendingBytes < tagBytes) return (this.#refusal = "truncated")
    const last = Buffer.alloc(this.#pendingBytes - tagBytes)
    const end = this.#open(this.#pending.subarray(0, this.#pendingBytes), last, 0)
    // Nothing more is taken, whichever way this ends.
    this.#refusal = "changed or truncated"
    return end < 0 ? this.#refusal : last
  }

  #open(sealed: Uint8Array, target: Buffer, offset: number): number {
    if (this.#index >= maxChunks) return -1
    const end = openChunk(this.#keys, this.#index, sealed, target, offset)
    if (end >= 0) this.#index++
    return end
  }
}

/** A whole message at once, for what is short. */
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
