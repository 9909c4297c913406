// Frames: u16 big-endian length, then so many bytes. PROTOCOL.md section 5.
import * as Effect from "effect/Effect"
import type { Connection } from "../transports/Connection.ts"
import type { NoiseError } from "../noise/NoiseError.ts"
import type { ConnectionLost } from "../transports/TransportErrors.ts"
import { HandshakeFailed } from "./ChannelErrors.ts"

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

/** Exact numbers of bytes from a stream that comes in pieces. Holds at most one piece beside them. */
export class FrameReader {
  readonly #connection: Connection
  #held: Uint8Array = new Uint8Array(0)

  constructor(connection: Connection) {
    this.#connection = connection
  }

  exactly<E>(count: number, failed: Failing<E>): Effect.Effect<Uint8Array, E> {
    return Effect.suspend(() =>
      this.#held.length >= count
        ? Effect.succeed(this.#take(count))
        : this.#gathered(Buffer.allocUnsafe(count), 0, failed)
    )
  }

  /** A whole frame's message. */
  frame<E>(failed: Failing<E>): Effect.Effect<Uint8Array, E> {
    return Effect.flatMap(this.exactly(2, failed), (length) =>
      this.exactly(((length[0] as number) << 8) | (length[1] as number), failed)
    )
  }

  /** Waits for a byte or for the end: true when the peer has ended its stream and nothing is left of it. */
  ended<E>(failed: Failing<E>): Effect.Effect<boolean, E> {
    return Effect.suspend(() =>
      this.#held.length > 0
        ? Effect.succeed(false)
        : Effect.map(Effect.mapError(this.#connection.read, failed.lost), (chunk) => {
            if (chunk !== undefined) this.#held = chunk
            return chunk === undefined
          })
    )
  }

  #take(count: number): Uint8Array {
    const bytes = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(count)
    return bytes
  }

  /** Piece by piece into its place: a peer that sends single bytes costs no more than its bytes. */
  #gathered<E>(target: Uint8Array, have: number, failed: Failing<E>): Effect.Effect<Uint8Array, E> {
    const piece = this.#take(Math.min(this.#held.length, target.length - have))
    target.set(piece, have)
    const now = have + piece.length
    if (now === target.length) return Effect.succeed(target)
    return Effect.flatMap(Effect.mapError(this.#connection.read, failed.lost), (chunk) => {
      if (chunk === undefined) return Effect.fail(failed("it closed the connection"))
      this.#held = chunk
      return this.#gathered(target, now, failed)
    })
  }
}
