// What the two sides of a message session say inside the channel. MESSAGES.md.
import { randomFillSync } from "node:crypto"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"

export const limits = {
  /** The longest message, in bytes. What is larger is a file. */
  messageBytes: 16 * 1024 * 1024,
  /** The longest reply, in bytes. */
  replyBytes: 1024 * 1024
} as const

export const idBytes = 16
/** What a frame has beside its text. */
export const headerBytes = 4 + idBytes
/** In the word of the length, which needs 25 bits: a reply is asked for. */
const asksBit = 0x8000_0000

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

  /** Whether the sender waits for a reply. */
  get wantsReply(): boolean {
    return (this.#chunk[this.#at] as number) >= asksBit >>> 24
  }

  get text(): Uint8Array {
    const start = this.#at + headerBytes
    return this.#chunk.subarray(start, start + this.bytes)
  }
}

/** Small messages are put together up to so many bytes. */
const batchBytes = 256 * 1024

/** Messages that travel together. */
export interface Batch {
  readonly bytes: Uint8Array
  readonly count: number
  /** Whether each of them asks for a reply. */
  readonly asks?: boolean
}

export interface EncodeOptions {
  /** Messages in a piece, at most. */
  readonly most?: number
  /** Without them each message gets a new one. */
  readonly ids?: ReadonlyArray<Uint8Array>
  readonly asks?: boolean
}

/** Frames, several to a piece: length of the text, and whether a reply is asked for (u32) | id (16) | text. */
export function* encode(
  texts: ReadonlyArray<Uint8Array>,
  { most = Number.POSITIVE_INFINITY, ids, asks = false }: EncodeOptions = {}
): Generator<Batch> {
  for (let at = 0; at < texts.length;) {
    let end = at
    let length = 0
    do length += headerBytes + (texts[end++] as Uint8Array).length
    while (
      end < texts.length &&
      end - at < most &&
      length + headerBytes + (texts[end] as Uint8Array).length <= batchBytes
    )
    const bytes = frames(texts.slice(at, end), length, asks ? asksBit : 0, ids?.slice(at, end))
    yield asks ? { bytes, count: end - at, asks } : { bytes, count: end - at }
    at = end
  }
}

const frames = (
  texts: ReadonlyArray<Uint8Array>,
  length: number,
  bits: number,
  ids?: ReadonlyArray<Uint8Array>
): Uint8Array => {
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const [index, text] of texts.entries()) {
    at = bytes.writeUInt32BE(bits + text.length, at)
    const id = ids?.[index]
    if (id === undefined) at = freshId(bytes, at)
    else {
      bytes.set(id, at)
      at += idBytes
    }
    bytes.set(text, at)
    at += text.length
  }
  return bytes
}

/** What is left of a piece when its first messages are taken away: a view. */
export const dropFirst = (piece: Batch, messages: number): Batch => {
  const view = Buffer.from(piece.bytes.buffer, piece.bytes.byteOffset, piece.bytes.length)
  let at = 0
  for (let left = messages; left > 0; left--) at += headerBytes + (view.readUInt32BE(at) & ~asksBit)
  return { ...piece, bytes: view.subarray(at), count: piece.count - messages }
}

/** A new id. */
export const makeId = (): Uint8Array => {
  const id = new Uint8Array(idBytes)
  freshId(id, 0)
  return id
}

/** Random bytes for the ids to come: a call for each would cost more than sealing a message. */
const random = Buffer.alloc(256 * idBytes)
let used = random.length

/** Writes a new id at `at`; gives where it ends. Byte by byte: for so few that is quicker than any call. */
const freshId = (target: Uint8Array, at: number): number => {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  for (let end = at + idBytes; at < end;) target[at++] = random[used++] as number
  return at
}

/** Decodes the stream of messages. Holds at most one incomplete message, within `limits.messageBytes`. */
export class Decoder {
  readonly #buffer = new FrameBuffer(headerBytes + limits.messageBytes)

  /** Returns the messages that this chunk completes, or undefined when one exceeds the limit. */
  push(chunk: Uint8Array): ReadonlyArray<Message> | undefined {
    const buffer = this.#buffer
    buffer.append(chunk)
    const messages: Array<Message> = []
    while (buffer.has(headerBytes)) {
      const length = buffer.bytes.readUInt32BE(buffer.offset) & ~asksBit
      if (length > limits.messageBytes) return undefined
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

  /** True between two messages: the stream may end here. */
  get isEmpty(): boolean {
    return this.#buffer.length === 0
  }
}
