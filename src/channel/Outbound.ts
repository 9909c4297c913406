import { tagLen, type CipherState } from "../noise/CipherState.ts"
import { encodeHeader, headerBytes, RecordType } from "./ChannelRecord.ts"
import { limits, protocolLimits } from "./limits.ts"
import { paddedLength, type Padding } from "./Padding.ts"

const empty = new Uint8Array(0)

/**
 * Memory for plaintexts of many small parts. All channels share it, because sealing is synchronous.
 */
const scratch = Buffer.alloc(protocolLimits.recordBytes)
const header = Buffer.alloc(headerBytes)
const zeros = Buffer.alloc(protocolLimits.recordBytes)

/** Part size, in bytes, below which copying costs less than a separate call of the cipher. */
const smallPartBytes = 2048

/** Body bytes of a full write to the socket. */
const writeBytes = limits.recordsPerWrite * protocolLimits.bodyBytes

/** A record to be sealed, with its body in parts. */
interface PendingRecord {
  readonly type: RecordType
  readonly body: ReadonlyArray<Uint8Array>
  readonly bytes: number
}

/**
 * Writes to the flow. Returns false when the send buffer is full. Calls `released` when the memory
 * may be reused.
 */
export type WriteToFlow = (bytes: Uint8Array, released?: () => void) => boolean

/**
 * Seals records into frames (PROTOCOL.md section 5). Records wait, by reference, until `flush` or
 * until eight full ones are there, and then go out in one write. Sealing and writing are one step,
 * so that the order of nonces is the order on the wire.
 */
export class Outbound {
  readonly #cipher: CipherState
  readonly #padding: Padding
  readonly #write: WriteToFlow
  #records = 0
  /** Parts of DATA, and complete records of the other types, in order. */
  #pending: Array<Uint8Array | PendingRecord> = []
  /** Index of the first entry of `#pending` that is not sealed yet. */
  #first = 0
  #pendingDataBytes = 0
  #pendingOtherBytes = 0
  /**
   * The `released` callbacks of DATA parts. When a part is split, its rest takes the callback over.
   */
  readonly #onReleased = new Map<Uint8Array, () => void>()
  /** The `released` callbacks of parts that the next write seals completely. */
  #sealed: Array<() => void> = []
  /** True while the send buffer of the flow is full. */
  #full = false
  #preface: Uint8Array

  /** `preface` is sent before the first record, in one write with it. */
  constructor(
    cipher: CipherState,
    padding: Padding,
    write: WriteToFlow,
    preface: Uint8Array = empty
  ) {
    this.#cipher = cipher
    this.#padding = padding
    this.#write = write
    this.#preface = preface
  }

  /** DATA bytes that are not sealed yet. */
  get pendingBytes(): number {
    return this.#pendingDataBytes
  }

  /** True when the session must be closed: only FIN and CLOSE may follow. PROTOCOL.md section 9. */
  get exhausted(): boolean {
    return this.#records >= protocolLimits.recordsPerSession - 2
  }

  /** Adds DATA. Calls `released` when all of it is sealed. */
  data(bytes: Uint8Array, released?: () => void): void {
    if (bytes.length === 0) return
    if (released !== undefined) this.#onReleased.set(bytes, released)
    this.#pending.push(bytes)
    this.#pendingDataBytes += bytes.length
    if (this.#pendingDataBytes >= writeBytes) this.#sendFullRecords()
  }

  /** Sends DATA at once, as far as the send buffer has room, and keeps a copy of the rest. */
  dataNow(bytes: Uint8Array): void {
    this.data(bytes)
    this.flush()
    const rest = this.#pending.at(-1)
    if (rest instanceof Uint8Array && rest.buffer === bytes.buffer)
      this.#pending[this.#pending.length - 1] = Uint8Array.from(rest)
  }

  /** The send buffer of the flow has room again. */
  drained(): void {
    this.#full = false
    this.#sendFullRecords()
  }

  /** Sends full records while the send buffer has room. A short record waits for more DATA. */
  #sendFullRecords(): void {
    while (!this.#full && this.#pendingDataBytes >= protocolLimits.bodyBytes)
      this.#send(this.#batch(true))
  }

  /** Adds a record that is not DATA. */
  record(type: RecordType, body: Uint8Array = empty): void {
    this.#pending.push({ type, body: [body], bytes: body.length })
    this.#pendingOtherBytes += body.length
    if (this.#pendingOtherBytes >= writeBytes) this.flush()
  }

  /**
   * Seals and sends the pending records while the send buffer has room; with `all`, before the end
   * of the stream, regardless of the room.
   */
  flush(all = false): void {
    while (this.#first < this.#pending.length && (!this.#full || all))
      this.#send(this.#batch(false))
    if (this.#first === this.#pending.length) this.#pendingOtherBytes = 0
  }

  /** Takes the next records, at most eight; with `fullOnly`, no short DATA record. */
  #batch(fullOnly: boolean): ReadonlyArray<PendingRecord> {
    const batch: Array<PendingRecord> = []
    while (batch.length < limits.recordsPerWrite) {
      const first = this.#pending[this.#first]
      if (first === undefined || (fullOnly && this.#pendingDataBytes < protocolLimits.bodyBytes))
        break
      if (first instanceof Uint8Array) batch.push(this.#takeData())
      else {
        this.#drop(1)
        batch.push(first)
      }
    }
    return batch
  }

  /**
   * Removes the first entries. The array moves once half of it is removed: moving it for each record
   * would take quadratic time.
   */
  #drop(count: number): void {
    // The garbage collector may have what is sealed.
    for (const end = this.#first + count; this.#first < end; this.#first++)
      this.#pending[this.#first] = empty
    if (2 * this.#first < this.#pending.length) return
    this.#pending.splice(0, this.#first)
    this.#first = 0
  }

  /** Takes the next parts of DATA as one record, without copying them. */
  #takeData(): PendingRecord {
    const body: Array<Uint8Array> = []
    let bytes = 0
    let used = this.#first
    for (; used < this.#pending.length && bytes < protocolLimits.bodyBytes; used++) {
      const part = this.#pending[used]
      if (!(part instanceof Uint8Array)) break
      const room = protocolLimits.bodyBytes - bytes
      body.push(part.length <= room ? part : part.subarray(0, room))
      bytes += Math.min(part.length, room)
      const released = this.#onReleased.size === 0 ? undefined : this.#onReleased.get(part)
      if (released !== undefined) this.#onReleased.delete(part)
      if (part.length > room) {
        const rest = part.subarray(room)
        this.#pending[used] = rest
        if (released !== undefined) this.#onReleased.set(rest, released)
        break
      }
      if (released !== undefined) this.#sealed.push(released)
    }
    this.#drop(used - this.#first)
    this.#pendingDataBytes -= bytes
    return { type: RecordType.Data, body, bytes }
  }

  #send(batch: ReadonlyArray<PendingRecord>): void {
    let length = this.#preface.length
    for (const { bytes } of batch) length += this.#frameBytes(bytes)
    const out = takeBuffer(length)
    let at = this.#preface.length
    if (at > 0) out.set(this.#preface)
    this.#preface = empty
    for (const record of batch) at += this.#seal(out, at, record)
    if (this.#sealed.length > 0) for (const released of this.#sealed.splice(0)) released()
    this.#full = !this.#write(
      out.length === length ? out : out.subarray(0, length),
      out.length < bufferBytes ? undefined : () => returnBuffer(out)
    )
  }

  #frameBytes(bodyBytes: number): number {
    return 2 + paddedLength(this.#padding, headerBytes + bodyBytes) + tagLen
  }

  /** Seals a record into a frame at `at`. Returns the length of the frame. */
  #seal(out: Buffer, at: number, { type, body, bytes }: PendingRecord): number {
    const plaintextBytes = paddedLength(this.#padding, headerBytes + bytes)
    out[at] = (plaintextBytes + tagLen) >> 8
    out[at + 1] = (plaintextBytes + tagLen) & 0xff
    const parts = plaintext(type, body, bytes)
    if (plaintextBytes > headerBytes + bytes)
      parts.push(zeros.subarray(0, plaintextBytes - headerBytes - bytes))
    const error = this.#cipher.encryptInto(out, at + 2, empty, parts)
    if (error !== undefined) throw new Error(`a record could not be sealed: ${error}`)
    // Both sides count records; nothing on the wire announces a rekey. PROTOCOL.md section 9.
    if (++this.#records % protocolLimits.recordsPerKey === 0) this.#cipher.rekey()
    return 2 + plaintextBytes + tagLen
  }
}

/** Returns header and body as parts for the cipher. Small parts are copied into one. */
const plaintext = (
  type: RecordType,
  body: ReadonlyArray<Uint8Array>,
  bytes: number
): Array<Uint8Array> => {
  if (bytes >= smallPartBytes * body.length) {
    encodeHeader(header, 0, type, bytes)
    return [header, ...body]
  }
  encodeHeader(scratch, 0, type, bytes)
  let end = headerBytes
  for (const part of body) {
    scratch.set(part, end)
    end += part.length
  }
  return [scratch.subarray(0, end)]
}

/** Size of a write buffer, in bytes: eight full frames and a preface. */
const bufferBytes = (limits.recordsPerWrite + 1) * (2 + protocolLimits.messageBytes)

/** Writes up to this size, in bytes, get new memory. */
const smallWriteBytes = 64 * 1024

/** Buffers of full writes, for reuse: page faults of new memory cost as much as the cipher. */
const idleBuffers: Array<Buffer> = []

const takeBuffer = (length: number): Buffer =>
  length > smallWriteBytes
    ? (idleBuffers.pop() ?? Buffer.allocUnsafeSlow(bufferBytes))
    : Buffer.allocUnsafe(length)

const returnBuffer = (buffer: Buffer): void => {
  if (idleBuffers.length < limits.idleWriteBuffers) idleBuffers.push(buffer)
}
