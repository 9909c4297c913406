import * as Effect from "effect/Effect"
import { FrameBuffer } from "../../bytes/FrameBuffer.ts"
import { protocolLimits } from "../../channel/limits.ts"
import type { Connection } from "../../transports/Connection.ts"
import type { ConnectionLost } from "../../transports/TransportErrors.ts"

/** Makes the error with which a read fails. */
export interface ReadErrors<E> {
  /** The connection was lost. */
  readonly lost: (error: ConnectionLost) => E
  /** The peer ended its stream within a frame. */
  readonly ended: () => E
}

/**
 * Reads frames (a u16 big-endian length, then the message) from a connection. Bytes that arrive in
 * pieces are copied piece by piece: a peer that sends single bytes costs no more than its bytes.
 */
export class FrameReader {
  readonly #connection: Connection
  readonly #buffer = new FrameBuffer(protocolLimits.messageBytes)

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Reads a frame and returns its message. */
  readFrame<E>(errors: ReadErrors<E>): Effect.Effect<Uint8Array, E> {
    return Effect.flatMap(this.#readExactly(2, errors), (length) =>
      this.#readExactly(((length[0] as number) << 8) | (length[1] as number), errors)
    )
  }

  /**
   * Waits for a byte or for the end. Returns true at the end of the stream, with every byte read.
   */
  isAtEnd<E>(errors: ReadErrors<E>): Effect.Effect<boolean, E> {
    return Effect.suspend(() =>
      this.#buffer.length > 0
        ? Effect.succeed(false)
        : Effect.map(this.#readChunk(errors), (hasMore) => !hasMore)
    )
  }

  #readExactly<E>(count: number, errors: ReadErrors<E>): Effect.Effect<Uint8Array, E> {
    return Effect.suspend(() => {
      const bytes = this.#buffer.take(count)
      return bytes === undefined
        ? Effect.flatMap(this.#readChunk(errors), (hasMore) =>
            hasMore ? this.#readExactly(count, errors) : Effect.fail(errors.ended())
          )
        : Effect.succeed(bytes)
    })
  }

  /** Appends the next chunk. Returns false at the end of the stream. */
  #readChunk<E>(errors: ReadErrors<E>): Effect.Effect<boolean, E> {
    return Effect.map(Effect.mapError(this.#connection.read, errors.lost), (chunk) => {
      if (chunk !== undefined) this.#buffer.append(chunk)
      return chunk !== undefined
    })
  }
}
