import { tagLen, type CipherState } from "../noise/CipherState.ts"
import { limits, protocolLimits } from "./limits.ts"
import { padded, type Padding } from "./Padding.ts"
import { encodeHeader, headerBytes, RecordType } from "./ChannelRecord.ts"

const none = new Uint8Array(0)

/** Where records of many small parts are put together. One for all channels: sealing never waits in between. */
const plain = Buffer.alloc(protocolLimits.recordBytes)
const header = Buffer.alloc(headerBytes)
const zeros = Buffer.alloc(protocolLimits.recordBytes)

/** Bytes below which copying a part is cheaper than a turn of the cipher for it. */
const smallPart = 2048

/** Body bytes to one write of the socket. */
const writeBytes = limits.recordsPerWrite * protocolLimits.bodyBytes

/** A record that waits to be sealed: its body, in parts. */
interface Waiting {
  readonly type: RecordType
  readonly body: ReadonlyArray<Uint8Array>
  readonly bytes: number
}

/** Hands bytes to the wire; `taken` is called when their memory may be used again. False when more had better wait. */
export type Hand = (bytes: Uint8Array, taken?: () => void) => boolean

/**
 * Records become bytes for the wire: PROTOCOL.md section 5. What is said waits, by reference, until `flush` or until eight
 * records' worth is there, and then travels in one write. Sealing and handing over are one step, so that the order of nonces
 * is the order on the wire.
 */
export class Outbound {
  readonly #cipher: CipherState
  readonly #padding: Padding
  readonly #hand: Hand
  #records = 0
  /** In their order: parts of DATA, and whole records of the other types. */
  #waiting: Array<Uint8Array | Waiting> = []
  #waitingData = 0
  #waitingOther = 0
  /** Parts whose memory its owner wants back: of a cut one, the part that is left. */
  readonly #borrowed = new Map<Uint8Array, () => void>()
  #sealed: Array<() => void> = []
  /** The wire does not keep up. */
  #full = false
  #preface: Uint8Array

  /** `preface` goes before the first record, in one write with it. */
  constructor(cipher: CipherState, padding: Padding, hand: Hand, preface: Uint8Array = none) {
    this.#cipher = cipher
    this.#padding = padding
    this.#hand = hand
    this.#preface = preface
  }

  /** DATA bytes that wait to be sealed. */
  get waitingBytes(): number {
    return this.#waitingData
  }

  /** True when no record may follow: section 9. */
  get worn(): boolean {
    return this.#records >= protocolLimits.recordsPerSession - 2
  }

  /** `taken` is called when all of it is sealed. */
  data(bytes: Uint8Array, taken?: () => void): void {
    if (bytes.length === 0) return
    if (taken !== undefined) this.#borrowed.set(bytes, taken)
    this.#waiting.push(bytes)
    this.#waitingData += bytes.length
    if (this.#waitingData >= writeBytes) this.#whole()
  }

  /** The wire takes more. */
  drained(): void {
    this.#full = false
    this.#whole()
  }

  /** Sends whole records, as long as the wire takes them; the short one waits for more. */
  #whole(): void {
    while (!this.#full && this.#waitingData >= protocolLimits.bodyBytes)
      this.#send(this.#batch(true))
  }

  /** One record that is not DATA. */
  record(type: RecordType, body: Uint8Array = none): void {
    this.#waiting.push({ type, body: [body], bytes: body.length })
    this.#waitingOther += body.length
    if (this.#waitingOther >= writeBytes) this.flush()
  }

  /** Seals and sends what waits, as long as the wire takes it; with `all`, whether it does or not: nothing comes after. */
  flush(all = false): void {
    while (this.#waiting.length > 0 && (!this.#full || all)) this.#send(this.#batch(false))
    if (this.#waiting.length === 0) this.#waitingOther = 0
  }

  /** The next records, at most eight. */
  #batch(whole: boolean): ReadonlyArray<Waiting> {
    const batch: Array<Waiting> = []
    while (batch.length < limits.recordsPerWrite) {
      const first = this.#waiting[0]
      if (first === undefined || (whole && this.#waitingData < protocolLimits.bodyBytes)) break
      if (first instanceof Uint8Array) batch.push(this.#takeData())
      else {
        this.#waiting.shift()
        batch.push(first)
      }
    }
    return batch
  }

  /** One DATA record of the parts that lie next, as they lie. */
  #takeData(): Waiting {
    const body: Array<Uint8Array> = []
    let bytes = 0
    let used = 0
    for (; used < this.#waiting.length && bytes < protocolLimits.bodyBytes; used++) {
      const part = this.#waiting[used]
      if (!(part instanceof Uint8Array)) break
      const room = protocolLimits.bodyBytes - bytes
      body.push(part.length <= room ? part : part.subarray(0, room))
      bytes += Math.min(part.length, room)
      const taken = this.#borrowed.size === 0 ? undefined : this.#borrowed.get(part)
      if (taken !== undefined) this.#borrowed.delete(part)
      if (part.length > room) {
        const rest = part.subarray(room)
        this.#waiting[used] = rest
        if (taken !== undefined) this.#borrowed.set(rest, taken)
        break
      }
      if (taken !== undefined) this.#sealed.push(taken)
    }
    this.#waiting.splice(0, used)
    this.#waitingData -= bytes
    return { type: RecordType.Data, body, bytes }
  }

  #send(batch: ReadonlyArray<Waiting>): void {
    let length = this.#preface.length
    for (const { bytes } of batch) length += this.#frameBytes(bytes)
    const out = takeBuffer(length)
    let at = this.#preface.length
    if (at > 0) out.set(this.#preface)
    this.#preface = none
    for (const record of batch) at += this.#seal(out, at, record)
    if (this.#sealed.length > 0) for (const taken of this.#sealed.splice(0)) taken()
    this.#full = !this.#hand(
      out.length === length ? out : out.subarray(0, length),
      out.length < largest ? undefined : () => giveBack(out)
    )
  }

  #frameBytes(bodyBytes: number): number {
    return 2 + padded(this.#padding, headerBytes + bodyBytes) + tagLen
  }

  /** Writes one frame at `at`; returns its length. */
  #seal(out: Buffer, at: number, { type, body, bytes }: Waiting): number {
    const plaintextBytes = padded(this.#padding, headerBytes + bytes)
    out[at] = (plaintextBytes + tagLen) >> 8
    out[at + 1] = (plaintextBytes + tagLen) & 0xff
    const parts = plaintext(type, body, bytes)
    if (plaintextBytes > headerBytes + bytes)
      parts.push(zeros.subarray(0, plaintextBytes - headerBytes - bytes))
    const refusal = this.#cipher.encryptInto(out, at + 2, none, parts)
    if (refusal !== undefined) throw new Error(`a record could not be sealed: ${refusal}`)
    // Section 9: both sides count, nothing on the wire says it.
    if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()
    return 2 + plaintextBytes + tagLen
  }
}

/** Header and body in as few parts as are worth a turn of the cipher. */
const plaintext = (
  type: RecordType,
  body: ReadonlyArray<Uint8Array>,
  bytes: number
): Array<Uint8Array> => {
  if (bytes >= smallPart * body.length) {
    encodeHeader(header, 0, type, bytes)
    return [header, ...body]
  }
  encodeHeader(plain, 0, type, bytes)
  let end = headerBytes
  for (const part of body) {
    plain.set(part, end)
    end += part.length
  }
  return [plain.subarray(0, end)]
}

/** A full write: eight whole frames, and a preface. */
const largest = (limits.recordsPerWrite + 1) * (2 + protocolLimits.messageBytes)

/** Writes up to so many bytes get memory of their own. */
const smallWrite = 64 * 1024

/** Memory of full writes, to be used again: fresh pages cost as much as the cipher. */
const idle: Array<Buffer> = []

const takeBuffer = (length: number): Buffer =>
  length > smallWrite ? (idle.pop() ?? Buffer.allocUnsafeSlow(largest)) : Buffer.allocUnsafe(length)

const giveBack = (buffer: Buffer): void => {
  if (idle.length < limits.idleWriteBuffers) idle.push(buffer)
}
