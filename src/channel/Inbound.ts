import { tagLen, type CipherState } from "../noise/CipherState.ts"
import { isNoiseError } from "../noise/NoiseError.ts"
import { decode, headerBytes, type ChannelRecord } from "./ChannelRecord.ts"
import { limits, protocolLimits } from "./limits.ts"

const empty = new Uint8Array(0)
const minFrameBytes = headerBytes + tagLen

/** Buffers of large frames, for reuse: decryption copies the plaintext out of them. */
const idleBuffers: Array<ArrayBuffer> = []
const bufferBytes = 2 + protocolLimits.messageBytes
/** Frames below this size, in bytes, are allocated from the pool of Buffer instead. */
const smallFrameBytes = 8192

const takeBuffer = (length: number): Buffer =>
  length < smallFrameBytes
    ? Buffer.allocUnsafe(length)
    : Buffer.from(idleBuffers.pop() ?? new ArrayBuffer(bufferBytes), 0, length)

const returnBuffer = ({ buffer }: Buffer): void => {
  if (
    buffer instanceof ArrayBuffer &&
    buffer.byteLength === bufferBytes &&
    idleBuffers.length < limits.idleFrameBuffers
  )
    idleBuffers.push(buffer)
}

/**
 * Decodes the wire format into records (PROTOCOL.md section 5). Holds at most one incomplete frame.
 *
 * A frame inside one chunk is decrypted in place; only a frame that spans chunks is copied. This
 * hot path has its own buffer instead of a FrameBuffer: memory of 64 KiB frames is reused, which
 * saves an allocation per record.
 */
export class Inbound {
  readonly #cipher: CipherState
  #records = 0
  /** The frame that spans chunks, length field included; undefined while there is none. */
  #partial: Buffer | undefined
  /** The number of bytes in `#partial` that have arrived. */
  #arrived = 0
  #violation: string | undefined

  constructor(cipher: CipherState) {
    this.#cipher = cipher
  }

  /**
   * Passes each record to `receive`, in order. Returns the protocol violation that ends the
   * channel, if any.
   */
  push(chunk: Uint8Array, receive: (record: ChannelRecord) => void): string | undefined {
    let at = 0
    while (at < chunk.length && this.#violation === undefined) {
      if (this.#arrived === 0 && chunk.length - at >= 2) {
        const length = ((chunk[at] as number) << 8) | (chunk[at + 1] as number)
        if (chunk.length - at >= 2 + length) {
          this.#open(chunk.subarray(at + 2, at + 2 + length), receive)
          at += 2 + length
          continue
        }
      }
      at += this.#append(chunk, at)
      const frame = this.#partial
      if (frame !== undefined && this.#arrived > 2 && this.#arrived === frame.length) {
        this.#partial = undefined
        this.#arrived = 0
        this.#open(frame.subarray(2), receive)
        returnBuffer(frame)
      }
    }
    return this.#violation
  }

  /** Appends bytes of the chunk, from `at` on, to the partial frame. Returns their number. */
  #append(chunk: Uint8Array, at: number): number {
    const partial = (this.#partial ??= Buffer.allocUnsafe(2))
    const part = chunk.subarray(at, at + partial.length - this.#arrived)
    partial.set(part, this.#arrived)
    this.#arrived += part.length
    if (this.#arrived === 2 && partial.length === 2) {
      const length = partial.readUInt16BE(0)
      if (length < minFrameBytes) this.#violation = "a frame that is too short"
      else this.#partial = takeBuffer(2 + length)
    }
    return part.length
  }

  #open(frame: Uint8Array, receive: (record: ChannelRecord) => void): void {
    if (frame.length < minFrameBytes) {
      this.#violation = "a frame that is too short"
      return
    }
    const plaintext = this.#cipher.decryptWithAd(empty, frame)
    if (isNoiseError(plaintext)) {
      this.#violation = "a record failed authentication"
      return
    }
    // Both sides count records; nothing on the wire announces a rekey. PROTOCOL.md section 9.
    if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()
    const record = decode(plaintext)
    if (record === undefined) this.#violation = "a malformed record"
    else receive(record)
  }
}
