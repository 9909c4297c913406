import { tagLen, type CipherState } from "../noise/CipherState.ts"
import { isNoiseError } from "../noise/NoiseError.ts"
import { limits, protocolLimits } from "./limits.ts"
import { decode, headerBytes, type ChannelRecord } from "./ChannelRecord.ts"

const none = new Uint8Array(0)
const leastFrame = headerBytes + tagLen

/** Memory of gathered frames, to be used again: what is opened lies elsewhere. Small frames are not worth it. */
const idle: Array<ArrayBuffer> = []
const largest = 2 + protocolLimits.messageBytes
const small = 8192

const takeBuffer = (length: number): Buffer =>
  length < small
    ? Buffer.allocUnsafe(length)
    : Buffer.from(idle.pop() ?? new ArrayBuffer(largest), 0, length)

const giveBack = ({ buffer }: Buffer): void => {
  if (
    buffer instanceof ArrayBuffer &&
    buffer.byteLength === largest &&
    idle.length < limits.idleFrameBuffers
  )
    idle.push(buffer)
}

/**
 * Decodes the wire format into records (PROTOCOL.md section 5). Holds at most one incomplete frame.
 *
 * A frame inside one chunk is opened where it lies; only a frame that spans chunks is copied. This
 * hot path has its own buffer instead of a FrameBuffer: memory of 64 KiB frames is reused, which
 * spares an allocation per record.
 */
export class Inbound {
  readonly #cipher: CipherState
  #records = 0
  /** The frame that spans chunks, its length field included: where it is gathered, and how much of it is there. */
  #gathering: Buffer = Buffer.alloc(2)
  #have = 0
  #broken: string | undefined

  constructor(cipher: CipherState) {
    this.#cipher = cipher
  }

  /** Gives each record to `take`, in order. The word that ends the channel, when the bytes are no records. */
  push(chunk: Uint8Array, take: (record: ChannelRecord) => void): string | undefined {
    let at = 0
    while (at < chunk.length && this.#broken === undefined) {
      if (this.#have === 0 && chunk.length - at >= 2) {
        const length = ((chunk[at] as number) << 8) | (chunk[at + 1] as number)
        if (chunk.length - at >= 2 + length) {
          this.#open(chunk.subarray(at + 2, at + 2 + length), take)
          at += 2 + length
          continue
        }
      }
      at += this.#gather(chunk, at)
      if (this.#have > 2 && this.#have === this.#gathering.length) {
        const whole = this.#gathering
        this.#gathering = Buffer.alloc(2)
        this.#have = 0
        this.#open(whole.subarray(2), take)
        giveBack(whole)
      }
    }
    return this.#broken
  }

  /** Takes what it can of the spanning frame; returns how much that was. */
  #gather(chunk: Uint8Array, at: number): number {
    const piece = chunk.subarray(at, at + this.#gathering.length - this.#have)
    this.#gathering.set(piece, this.#have)
    this.#have += piece.length
    if (this.#have === 2 && this.#gathering.length === 2) {
      const length = this.#gathering.readUInt16BE(0)
      if (length < leastFrame) this.#broken = "a frame that is too short"
      else this.#gathering = takeBuffer(2 + length)
    }
    return piece.length
  }

  #open(frame: Uint8Array, take: (record: ChannelRecord) => void): void {
    if (frame.length < leastFrame) {
      this.#broken = "a frame that is too short"
      return
    }
    const plaintext = this.#cipher.decryptWithAd(none, frame)
    if (isNoiseError(plaintext)) {
      this.#broken = "a record does not open"
      return
    }
    // Both sides count; nothing on the wire says it. Section 9.
    if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()
    const record = decode(plaintext)
    if (record === undefined) this.#broken = "a malformed record"
    else take(record)
  }
}
