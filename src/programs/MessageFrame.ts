// What the two sides of a message session say inside the channel. MESSAGES.md.
import { randomFillSync } from "node:crypto"

/** The application protocol of the prologue. */
export const application = "sealwire/message/1"

export const limits = {
  /** The longest message, in bytes. What is larger is a file. */
  messageBytes: 16 * 1024 * 1024
} as const

export const idBytes = 16
const headerBytes = 4 + idBytes

/** A message as it lies among others: views are made of it when they are asked for, not for each of a million. */
export class Message {
  readonly #chunk: Buffer
  readonly #at: number
  /** How many bytes its text has. */
  readonly bytes: number

  /** The frame at `at`, whose text has `bytes` bytes. */
  constructor(chunk: Buffer, at: number, bytes: number) {
    this.#chunk = chunk
    this.#at = at
    this.bytes = bytes
  }

  /** 128 random bits that name it for ever. */
  get id(): Uint8Array {
    return this.#chunk.subarray(this.#at + 4, this.#at + headerBytes)
  }

  get text(): Uint8Array {
    const start = this.#at + headerBytes
    return this.#chunk.subarray(start, start + this.bytes)
  }
}

/** Small messages are put together up to so many bytes. */
const batchBytes = 256 * 1024

/** Messages that travel together. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly count: number
}

/** Frames, several to a piece and at most so many: length of the text (u32) | id (16) | text. */
export function* encode(texts: ReadonlyArray<Uint8Array>, most = Number.POSITIVE_INFINITY): Generator<Piece> {
  for (let at = 0; at < texts.length;) {
    let end = at
    let length = 0
    do length += headerBytes + (texts[end++] as Uint8Array).length
    while (end < texts.length && end - at < most && length + headerBytes + (texts[end] as Uint8Array).length <= batchBytes)
    yield { bytes: frames(texts.slice(at, end), length), count: end - at }
    at = end
  }
}

const frames = (texts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const text of texts) {
    at = bytes.writeUInt32BE(text.length, at)
    at = freshId(bytes, at)
    bytes.set(text, at)
    at += text.length
  }
  return bytes
}

/** Random bytes for the ids to come: a call for each would cost more than sealing a message. */
const random = Buffer.alloc(256 * idBytes)
let used = random.length

/** Writes a new id at `at`; gives where it ends. Byte by byte: for so few that is quicker than any call. */
const freshId = (target: Buffer, at: number): number => {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  for (let end = at + idBytes; at < end;) target[at++] = random[used++] as number
  return at
}

/** Bytes become messages, however they were cut up. Holds one unfinished message, within `limits.messageBytes`. */
export class Decoder {
  /** Copied together: a chunk is a view of its whole record, and a small one costs more than its bytes. */
  #held = Buffer.alloc(0)
  #bytes = 0
  /** Bytes of the unfinished frame, once its length is known. */
  #wanted = headerBytes

  /** The messages that are whole now, or undefined when one is longer than any may be. */
  push(chunk: Uint8Array): ReadonlyArray<Message> | undefined {
    if (this.#bytes > 0 || chunk.length < this.#wanted) this.#gather(chunk)
    const all = this.#bytes > 0 ? this.#held.subarray(0, this.#bytes) : chunk
    if (all.length < this.#wanted) return []
    const view = Buffer.from(all.buffer, all.byteOffset, all.length)
    const messages: Array<Message> = []
    let at = 0
    this.#wanted = headerBytes
    while (view.length - at >= headerBytes) {
      const length = view.readUInt32BE(at)
      if (length > limits.messageBytes) return undefined
      const end = at + headerBytes + length
      if (end > view.length) {
        this.#wanted = end - at
        break
      }
      messages.push(new Message(view, at, length))
      at = end
    }
    if (at === 0 && this.#bytes > 0) return messages
    this.#held = Buffer.alloc(0)
    this.#bytes = 0
    this.#gather(view.subarray(at))
    return messages
  }

  #gather(chunk: Uint8Array): void {
    const bytes = this.#bytes + chunk.length
    if (bytes > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(2 * this.#held.length, this.#wanted)))
      larger.set(this.#held.subarray(0, this.#bytes))
      this.#held = larger
    }
    this.#held.set(chunk, this.#bytes)
    this.#bytes = bytes
  }

  /** Bytes of the message that is not whole yet, its header included. */
  get held(): number {
    return this.#bytes
  }

  /** True between two messages: an end here is a clean one. */
  get isEmpty(): boolean {
    return this.#bytes === 0
  }
}

/** What the server says of messages: everything up to a count was handled, or the next one was not. */
export interface Receipt {
  /** `limited`: the rules for this client allow no more of them in a minute. `later`: not now; the same may be taken another time. */
  readonly status: "handled" | "refused" | "limited" | "later"
  /** Messages of this session, from its first. */
  readonly count: number
}

const receiptBytes = 9
const statuses = ["handled", "refused", "limited", "later"] as const

/** status (1) | count (u64). */
export const encodeReceipt = ({ status, count }: Receipt): Uint8Array => {
  const frame = Buffer.alloc(receiptBytes)
  frame[0] = statuses.indexOf(status)
  frame.writeBigUInt64BE(BigInt(count), 1)
  return frame
}

export class ReceiptDecoder {
  #rest: Uint8Array = new Uint8Array(0)

  /** The receipts that are whole now, or undefined when the bytes are none. */
  push(chunk: Uint8Array): ReadonlyArray<Receipt> | undefined {
    const view = Buffer.concat([this.#rest, chunk])
    const receipts: Array<Receipt> = []
    let at = 0
    for (; view.length - at >= receiptBytes; at += receiptBytes) {
      const status = statuses[view[at] as number]
      if (status === undefined) return undefined
      receipts.push({ status, count: Number(view.readBigUInt64BE(at + 1)) })
    }
    this.#rest = view.subarray(at)
    return receipts
  }
}
