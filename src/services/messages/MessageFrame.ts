// The client's stream of messages inside the channel. MESSAGES.md, section "Messages inside the
// channel".
import { randomFillSync } from "node:crypto"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"

export const limits = {
  /** Bytes of the longest message. Longer content is sent as a file. */
  messageBytes: 16 * 1024 * 1024,
  /** Bytes of the longest reply. */
  replyBytes: 1024 * 1024
} as const

export const idBytes = 16
/** The header of a message: length of the text (u32) | id (16). */
export const headerBytes = 4 + idBytes
/** Bit 31 of the length field, whose length needs 25 bits: the sender requests a reply. */
const replyBit = 0x8000_0000

/**
 * A received message. Its getters make views on demand: a view per message would slow down the
 * decoder.
 */
export class Message {
  readonly #chunk: Buffer
  readonly #offset: number
  /** Bytes of the text. */
  readonly size: number

  /** A message whose frame starts at `offset` of `chunk` and whose text has `size` bytes. */
  constructor(chunk: Buffer, offset: number, size: number) {
    this.#chunk = chunk
    this.#offset = offset
    this.size = size
  }

  /** 128 random bits; the same whenever the message is sent again. */
  get id(): Uint8Array {
    return this.#chunk.subarray(this.#offset + 4, this.#offset + headerBytes)
  }

  /** Whether the sender requests a reply. */
  get wantsReply(): boolean {
    return (this.#chunk[this.#offset] as number) >= replyBit >>> 24
  }

  get text(): Uint8Array {
    const start = this.#offset + headerBytes
    return this.#chunk.subarray(start, start + this.size)
  }
}

/** Small messages are combined into batches of at most this many bytes. */
const batchBytes = 256 * 1024

/** A text of this many bytes or more is not copied, and has a batch of its own. */
const longTextBytes = 64 * 1024

/** Encoded messages that are written together. */
export interface Batch {
  /** The frames; the text of a long message is a chunk of its own, and not a copy. */
  readonly chunks: ReadonlyArray<Uint8Array>
  /** Bytes of all chunks. */
  readonly size: number
  readonly count: number
  /** Whether each of them requests a reply. Default: false. */
  readonly wantsReply?: boolean
}

export interface EncodeOptions {
  /** Maximum number of messages in a batch. Default: no limit. */
  readonly maxCount?: number
  /** The ids of the messages. Default: a new id for each. */
  readonly ids?: ReadonlyArray<Uint8Array>
  /** Requests a reply to each message. Default: false. */
  readonly wantsReply?: boolean
}

/**
 * Encodes messages into batches of frames: length of the text and reply bit (u32) | id (16) | text.
 */
export function* encodeMessages(
  texts: ReadonlyArray<Uint8Array>,
  { maxCount = Number.POSITIVE_INFINITY, ids, wantsReply = false }: EncodeOptions = {}
): Generator<Batch> {
  for (let start = 0; start < texts.length;) {
    let end = start
    let length = 0
    do length += headerBytes + (texts[end++] as Uint8Array).length
    while (
      end < texts.length &&
      end - start < maxCount &&
      (texts[end] as Uint8Array).length < longTextBytes &&
      (texts[start] as Uint8Array).length < longTextBytes &&
      length + headerBytes + (texts[end] as Uint8Array).length <= batchBytes
    )
    const flags = wantsReply ? replyBit : 0
    const chunks = encodeFrames(texts, { start, end, length, flags, ids })
    const batch = { chunks, size: length, count: end - start }
    yield wantsReply ? { ...batch, wantsReply } : batch
    start = end
  }
}

interface Frames {
  readonly start: number
  readonly end: number
  /** Bytes of all frames. */
  readonly length: number
  readonly flags: number
  readonly ids: ReadonlyArray<Uint8Array> | undefined
}

/** Encodes the texts from `start` to `end`. */
const encodeFrames = (
  texts: ReadonlyArray<Uint8Array>,
  { start, end, length, flags, ids }: Frames
): ReadonlyArray<Uint8Array> => {
  const first = texts[start] as Uint8Array
  const long = first.length >= longTextBytes ? first : undefined
  const bytes = Buffer.allocUnsafe(long === undefined ? length : headerBytes)
  let offset = 0
  for (let index = start; index < end; index++) {
    const text = texts[index] as Uint8Array
    // A method call here would cost as much as the copy of a short text.
    const field = flags + text.length
    bytes[offset++] = field >>> 24
    bytes[offset++] = field >>> 16
    bytes[offset++] = field >>> 8
    bytes[offset++] = field
    const id = ids?.[index]
    if (id === undefined) offset = writeNewId(bytes, offset)
    else {
      bytes.set(id, offset)
      offset += idBytes
    }
    if (long !== undefined) return [bytes, long]
    bytes.set(text, offset)
    offset += text.length
  }
  return [bytes]
}

const empty = new Uint8Array(0)

/** Returns the batch without its first `count` messages, as a view. Some messages are left. */
export const dropFirst = (batch: Batch, count: number): Batch => {
  if (count === 0) return batch
  // A long message is the only one of its batch.
  const [bytes = empty] = batch.chunks
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let offset = 0
  for (let left = count; left > 0; left--)
    offset += headerBytes + (view.readUInt32BE(offset) & ~replyBit)
  const rest = view.subarray(offset)
  return { ...batch, chunks: [rest], size: rest.length, count: batch.count - count }
}

/** Returns a new random id. */
export const makeId = (): Uint8Array => {
  const id = new Uint8Array(idBytes)
  writeNewId(id, 0)
  return id
}

/** Random bytes for the next ids: one system call per id would cost more than sealing a message. */
const random = Buffer.alloc(1024 * idBytes)
let used = random.length

/** Writes a new id at `offset` and returns its end. For 16 bytes a loop is faster than a call. */
const writeNewId = (target: Uint8Array, offset: number): number => {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  const start = used
  used += idBytes
  for (let at = 0; at < idBytes; at++) target[offset + at] = random[start + at] as number
  return offset + idBytes
}

/**
 * Decodes the stream of messages. Holds at most one incomplete message, within
 * `limits.messageBytes`.
 */
export class MessageDecoder {
  readonly #buffer = new FrameBuffer(headerBytes + limits.messageBytes)
  #isBroken = false

  /** True after a length that exceeds the limit: nothing after it can be decoded. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Returns the messages that this chunk completes, up to one that exceeds the limit. */
  push(chunk: Uint8Array): ReadonlyArray<Message> {
    const buffer = this.#buffer
    buffer.append(chunk)
    const messages: Array<Message> = []
    while (buffer.has(headerBytes)) {
      const length = buffer.bytes.readUInt32BE(buffer.offset) & ~replyBit
      if (length > limits.messageBytes) {
        this.#isBroken = true
        break
      }
      if (!buffer.has(headerBytes + length)) break
      messages.push(new Message(buffer.bytes, buffer.offset, length))
      buffer.skip(headerBytes + length)
    }
    return messages
  }

  /** Bytes of the incomplete message, its header included. */
  get held(): number {
    return this.#buffer.length
  }

  /** Bytes that the incomplete message has when it is complete, as far as its header tells. */
  get expected(): number {
    const buffer = this.#buffer
    if (this.#isBroken || !buffer.has(headerBytes)) return buffer.length
    return headerBytes + (buffer.bytes.readUInt32BE(buffer.offset) & ~replyBit)
  }

  /** True between two messages: the stream may end here. */
  get isEmpty(): boolean {
    return this.#buffer.length === 0
  }
}
