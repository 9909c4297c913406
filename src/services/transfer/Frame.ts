// What the two sides of a transfer say: frames in the stream of DATA. TRANSFER.md section 2.
import * as Effect from "effect/Effect"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"
import { Control, type Channel } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { protocolLimits } from "./limits.ts"

export const FrameType = {
  // The client's request.
  Push: 1,
  Pull: 2,
  // Who sends files.
  Entries: 16,
  LeftOut: 17,
  ManifestEnd: 18,
  SmallFile: 19,
  File: 20,
  Bytes: 21,
  Zeros: 22,
  End: 23,
  Skip: 24,
  TransferEnd: 25,
  // Who receives them.
  Answers: 32,
  Digests: 33,
  Receipts: 34,
  Done: 35,
  // Either.
  Stop: 48
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

const known: ReadonlyMap<number, string> = new Map(
  Object.entries(FrameType).map(([name, type]) => [type, name])
)

/** type (1) | length of the body (u32). */
export const headerBytes = 5

/** WHOLE has more than the bytes of a file: index (4) | digest (32). */
const mostBytes = protocolLimits.frameBytes + 36

export const header = (type: FrameType, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(headerBytes)
  bytes[0] = type
  bytes.writeUInt32BE(length, 1)
  return bytes
}

export const frame = (type: FrameType, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = Buffer.allocUnsafe(headerBytes + length)
  bytes[0] = type
  bytes.writeUInt32BE(length, 1)
  let at = headerBytes
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export interface FrameHeader {
  readonly type: FrameType
  readonly length: number
}

/** The peer's frames, however the channel cut them up. One reader at a time. */
export class Frames {
  readonly #channel: Channel
  readonly #buffer = new FrameBuffer(mostBytes)

  constructor(channel: Channel) {
    this.#channel = channel
  }

  readonly violation = (detail: string): ChannelTampered =>
    new ChannelTampered({ peer: this.#channel.peer, detail })

  /** The next frame's type and length; its body must be read before the next. Undefined at the peer's FIN between two frames. */
  readonly readHeader: Effect.Effect<FrameHeader | undefined, ChannelError> = Effect.suspend(() => {
    if (this.#buffer.length === 0)
      return Effect.flatMap(this.#more, (come) =>
        come ? Effect.flatMap(this.readBody(headerBytes), this.#parse) : Effect.succeed(undefined)
      )
    return Effect.flatMap(this.readBody(headerBytes), this.#parse)
  })

  readonly #parse = (bytes: Buffer): Effect.Effect<FrameHeader, ChannelError> => {
    const type = bytes[0] as number
    const length = bytes.readUInt32BE(1)
    if (!known.has(type)) return this.violation("a frame of a type that there is not")
    if (length > (type === FrameType.SmallFile ? mostBytes : protocolLimits.frameBytes))
      return this.violation("a frame that is too long")
    return Effect.succeed({ type: type as FrameType, length })
  }

  /** The next `length` bytes together. They are the reader's until it reads on. */
  readonly readBody = (length: number): Effect.Effect<Buffer, ChannelError> =>
    Effect.suspend(() => {
      const bytes = this.#buffer.take(length)
      return bytes === undefined
        ? Effect.flatMap(this.#within, () => this.readBody(length))
        : Effect.succeed(bytes)
    })

  /** The next bytes of a body, at least one and at most `most`. */
  readonly readSome = (most: number): Effect.Effect<Buffer, ChannelError> =>
    Effect.suspend(() =>
      this.#buffer.length > 0
        ? Effect.succeed(this.#buffer.takeUpTo(most))
        : Effect.map(this.#within, () => this.#buffer.takeUpTo(most))
    )

  /** More bytes, in the middle of a frame. */
  get #within(): Effect.Effect<void, ChannelError> {
    return Effect.flatMap(this.#more, (come) =>
      come ? Effect.void : this.violation("a FIN inside a frame")
    )
  }

  /** False at the peer's FIN. */
  readonly #more: Effect.Effect<boolean, ChannelError> = Effect.suspend(() =>
    Effect.flatMap(this.#channel.read, (item) => {
      if (item === undefined) return Effect.succeed(false)
      if (item instanceof Control) return this.violation("a control message where none belongs")
      this.#buffer.append(item)
      return Effect.succeed(true)
    })
  )
}
