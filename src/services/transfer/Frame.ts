// Frames of a transfer in the stream of DATA: type (1) | length of the body (u32) | body.
// TRANSFER.md section 2.
import * as Effect from "effect/Effect"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"
import { Control, type Channel } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { protocolLimits } from "./limits.ts"

/** Types of frames, by the side that sends them. */
export const FrameType = {
  // Client.
  Push: 1,
  Pull: 2,
  // Sender.
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
  // Receiver.
  Answers: 32,
  Digests: 33,
  Receipts: 34,
  Done: 35,
  // Either side.
  Stop: 48
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

const known: ReadonlySet<number> = new Set(Object.values(FrameType))

/** Length of a header in bytes. */
export const headerBytes = 5

/** Longest body of SMALLFILE, which has an index (4) and a digest (32) besides one piece. */
const smallFileBytes = protocolLimits.frameBytes + 36

/** Encodes the header of a frame whose body is written separately. */
export const header = (type: FrameType, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(headerBytes)
  bytes[0] = type
  bytes.writeUInt32BE(length, 1)
  return bytes
}

/** Encodes a whole frame. */
export const frame = (type: FrameType, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = Buffer.allocUnsafe(headerBytes + length)
  bytes[0] = type
  bytes.writeUInt32BE(length, 1)
  let offset = headerBytes
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** Encodes an unsigned 32-bit integer, big-endian. */
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export interface FrameHeader {
  readonly type: FrameType
  /** Length of the body in bytes; within the limit of its type. */
  readonly length: number
}

/** Reads the peer's frames, which records cut anywhere. For one fiber at a time. */
export class Frames {
  readonly #channel: Channel
  readonly #buffer = new FrameBuffer(smallFileBytes)

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** Makes the error for a peer that broke the protocol; reading ends with it. */
  readonly violation = (detail: string): ChannelTampered =>
    new ChannelTampered({ peer: this.#channel.peer, detail })

  /**
   * Reads the header of the next frame; undefined if the peer sent FIN between two frames. The body
   * must be read before the next header.
   */
  readonly readHeader: Effect.Effect<FrameHeader | undefined, ChannelError> = Effect.suspend(() =>
    this.#buffer.length > 0
      ? this.#readHeader
      : Effect.flatMap(this.#fill, (isOpen) =>
          isOpen ? this.#readHeader : Effect.succeed(undefined)
        )
  )

  get #readHeader(): Effect.Effect<FrameHeader, ChannelError> {
    return Effect.flatMap(this.readBody(headerBytes), (bytes) => {
      const type = bytes[0] as number
      const length = bytes.readUInt32BE(1)
      if (!known.has(type)) return this.violation("unknown frame type")
      const limit = type === FrameType.SmallFile ? smallFileBytes : protocolLimits.frameBytes
      if (length > limit) return this.violation("a frame is too long")
      return Effect.succeed({ type: type as FrameType, length })
    })
  }

  /** Reads `length` bytes. They stay valid until the next read. */
  readonly readBody = (length: number): Effect.Effect<Buffer, ChannelError> =>
    Effect.suspend(() => {
      const bytes = this.#buffer.take(length)
      return bytes === undefined
        ? Effect.flatMap(this.#fillFrame, () => this.readBody(length))
        : Effect.succeed(bytes)
    })

  /** Reads the available bytes of a body, waiting for one if there is none; `most` at most. */
  readonly readSome = (most: number): Effect.Effect<Buffer, ChannelError> =>
    Effect.suspend(() =>
      this.#buffer.length > 0
        ? Effect.succeed(this.#buffer.takeUpTo(most))
        : Effect.map(this.#fillFrame, () => this.#buffer.takeUpTo(most))
    )

  /** Receives more bytes inside a frame, where FIN is an error. */
  get #fillFrame(): Effect.Effect<void, ChannelError> {
    return Effect.flatMap(this.#fill, (isOpen) =>
      isOpen ? Effect.void : this.violation("FIN inside a frame")
    )
  }

  /** Receives more bytes; false at FIN. */
  readonly #fill: Effect.Effect<boolean, ChannelError> = Effect.suspend(() =>
    Effect.flatMap(this.#channel.read, (item) => {
      if (item === undefined) return Effect.succeed(false)
      if (item instanceof Control) return this.violation("unexpected CONTROL record")
      this.#buffer.append(item)
      return Effect.succeed(true)
    })
  )
}
