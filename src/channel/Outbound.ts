import { tagLen, type CipherState } from "../noise/CipherState.ts"
import { limits, protocolLimits } from "./limits.ts"
import { padded, type Padding } from "./Padding.ts"
import { encodeHeader, headerBytes, RecordType } from "./Record.ts"

const none = new Uint8Array(0)

/** Where records of many small parts are put together. One for all channels: sealing never waits in between. */
const plain = Buffer.alloc(protocolLimits.recordBytes)
const header = Buffer.alloc(headerBytes)
const zeros = Buffer.alloc(protocolLimits.recordBytes)

/** Bytes below which copying a part is cheaper than a turn of the cipher for it. */
const smallPart = 2048

/** Body bytes to one write of the socket. */
const writeBytes = limits.recordsPerWrite * protocolLimits.bodyBytes

/**
 * Records become bytes for the wire: PROTOCOL.md section 5. DATA waits, by reference, until `flush` or until eight records'
 * worth is there; every other record goes after the DATA that came before it. Sealing and handing over are one step, so that
 * the order of nonces is the order on the wire.
 */
export class Outbound {
  readonly #cipher: CipherState
  readonly #padding: Padding
  readonly #hand: (bytes: Uint8Array) => void
  #records = 0
  #pending: Array<Uint8Array> = []
  #pendingBytes = 0

  constructor(cipher: CipherState, padding: Padding, hand: (bytes: Uint8Array) => void) {
    this.#cipher = cipher
    this.#padding = padding
    this.#hand = hand
  }

  /** DATA bytes that wait to be sealed. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** True when no record may follow: section 9. */
  get worn(): boolean {
    return this.#records >= protocolLimits.recordsPerSession - 2
  }

  data(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes < writeBytes) return
    // Whole records; the short one waits for more.
    while (this.#pendingBytes >= protocolLimits.bodyBytes)
      this.#sealData(Math.min(this.#pendingBytes - (this.#pendingBytes % protocolLimits.bodyBytes), writeBytes))
  }

  /** One record that is not DATA. */
  record(type: RecordType, body: Uint8Array = none): void {
    this.flush()
    const out = Buffer.allocUnsafe(this.#frameBytes(body.length))
    this.#seal(out, 0, type, [body], body.length)
    this.#hand(out)
  }

  /** Seals the DATA that waits. */
  flush(): void {
    while (this.#pendingBytes > 0) this.#sealData(Math.min(this.#pendingBytes, writeBytes))
  }

  /** So many of the bytes that wait, at most eight records, in one buffer. */
  #sealData(bytes: number): void {
    const full = Math.floor(bytes / protocolLimits.bodyBytes)
    const rest = bytes % protocolLimits.bodyBytes
    const out = Buffer.allocUnsafeSlow(
      full * this.#frameBytes(protocolLimits.bodyBytes) + (rest > 0 ? this.#frameBytes(rest) : 0)
    )
    let at = 0
    for (let left = bytes; left > 0;) {
      const length = Math.min(left, protocolLimits.bodyBytes)
      at += this.#seal(out, at, RecordType.Data, this.#take(length), length)
      left -= length
    }
    this.#hand(out)
  }

  /** The next `length` pending bytes, as they lie. */
  #take(length: number): ReadonlyArray<Uint8Array> {
    const parts: Array<Uint8Array> = []
    this.#pendingBytes -= length
    let used = 0
    for (let left = length; left > 0;) {
      const part = this.#pending[used] as Uint8Array
      if (part.length <= left) {
        parts.push(part)
        left -= part.length
        used++
      } else {
        parts.push(part.subarray(0, left))
        this.#pending[used] = part.subarray(left)
        left = 0
      }
    }
    this.#pending.splice(0, used)
    return parts
  }

  #frameBytes(bodyBytes: number): number {
    return 2 + padded(this.#padding, headerBytes + bodyBytes) + tagLen
  }

  /** Writes one frame at `at`; returns its length. */
  #seal(out: Buffer, at: number, type: RecordType, body: ReadonlyArray<Uint8Array>, length: number): number {
    const plaintextBytes = padded(this.#padding, headerBytes + length)
    out.writeUInt16BE(plaintextBytes + tagLen, at)
    const parts = this.#plaintext(type, body, length)
    if (plaintextBytes > headerBytes + length) parts.push(zeros.subarray(0, plaintextBytes - headerBytes - length))
    const refusal = this.#cipher.encryptInto(out, at + 2, none, parts)
    if (refusal !== undefined) throw new Error(`a record could not be sealed: ${refusal}`)
    // Section 9: both sides count, nothing on the wire says it.
    if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()
    return 2 + plaintextBytes + tagLen
  }

  /** Header and body in as few parts as are worth a turn of the cipher. */
  #plaintext(type: RecordType, body: ReadonlyArray<Uint8Array>, length: number): Array<Uint8Array> {
    if (length >= smallPart * body.length) {
      encodeHeader(header, 0, type, length)
      return [header, ...body]
    }
    encodeHeader(plain, 0, type, length)
    let end = headerBytes
    for (const part of body) {
      plain.set(part, end)
      end += part.length
    }
    return [plain.subarray(0, end)]
  }
}
