// Frames: u16 big-endian length, then so many bytes. PROTOCOL.md section 5.
import * as Effect from "effect/Effect"
import { FrameBuffer } from "../bytes/FrameBuffer.ts"
import type { Connection } from "../transports/Connection.ts"
import type { NoiseError } from "../noise/NoiseError.ts"
import type { ConnectionLost } from "../transports/TransportErrors.ts"
import { HandshakeFailed } from "./ChannelErrors.ts"
import { protocolLimits } from "./limits.ts"

/** The frame of a Noise message, which has at most 65,535 bytes. */
export const encodeFrame = (message: Uint8Array): Uint8Array => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** What an intake that is cut short fails with. */
export interface Failing<E = HandshakeFailed> {
  (reason: string): E
  readonly lost: (lost: ConnectionLost) => E
}

/** How this connection's handshake fails. */
export const failing = ({ peer }: Connection): Failing => {
  const failed = (reason: string) => new HandshakeFailed({ peer, reason })
  return Object.assign(failed, { lost: () => failed("it closed the connection") })
}

export const bytesOf = (
  result: Uint8Array | NoiseError,
  failed: Failing
): Effect.Effect<Uint8Array, HandshakeFailed> =>
  typeof result === "string" ? failed(result) : Effect.succeed(result)

/**
 * Reads exact numbers of bytes from a connection. Bytes that arrive in pieces are copied piece by
 * piece: a peer that sends single bytes costs no more than its bytes.
 */
export class FrameReader {
  readonly #connection: Connection
  readonly #buffer = new FrameBuffer(protocolLimits.messageBytes)

  constructor(connection: Connection) {
    this.#connection = connection
  }

  exactly<E>(count: number, failed: Failing<E>): Effect.Effect<Uint8Array, E> {
    return Effect.suspend(() => {
      const bytes = this.#buffer.take(count)
      return bytes === undefined
        ? Effect.flatMap(this.#more(failed), (isMore) =>
            isMore ? this.exactly(count, failed) : Effect.fail(failed("it closed the connection"))
          )
        : Effect.succeed(bytes)
    })
  }

  /** Reads a frame and returns its message. */
  frame<E>(failed: Failing<E>): Effect.Effect<Uint8Array, E> {
    return Effect.flatMap(this.exactly(2, failed), (length) =>
      this.exactly(((length[0] as number) << 8) | (length[1] as number), failed)
    )
  }

  /** Waits for a byte or for the end. Returns true at the end of the stream, with every byte read. */
  ended<E>(failed: Failing<E>): Effect.Effect<boolean, E> {
    return Effect.suspend(() =>
      this.#buffer.length > 0
        ? Effect.succeed(false)
        : Effect.map(this.#more(failed), (isMore) => !isMore)
    )
  }

  /** Appends the next chunk. Returns false at the end of the stream. */
  #more<E>(failed: Failing<E>): Effect.Effect<boolean, E> {
    return Effect.map(Effect.mapError(this.#connection.read, failed.lost), (chunk) => {
      if (chunk !== undefined) this.#buffer.append(chunk)
      return chunk !== undefined
    })
  }
}
