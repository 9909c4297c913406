// A channel as a Stream and a Sink of bytes.
import * as Effect from "effect/Effect"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import { sinkOf, streamOf, type SinkOptions } from "../transports/ByteStreams.ts"
import { ChannelTampered, type ChannelError } from "./ChannelErrors.ts"
import { Control, type ChannelItem } from "./ChannelItem.ts"

/** The reads of a channel. */
interface ChannelReader {
  readonly peer: string
  readonly read: Effect.Effect<ChannelItem | undefined, ChannelError>
}

/** The writes of a channel. */
interface ChannelWriter {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ChannelError>
  readonly end: Effect.Effect<void, ChannelError>
}

/**
 * The bytes that the peer sends, until its FIN. Reads when an element is demanded; no element is
 * empty. A truncated stream fails with `StreamTruncated`; a control message, which is no part of a
 * stream, fails it with `ChannelTampered`.
 *
 * @example
 * yield* Stream.run(Channel.toStream(channel), fileSystem.sink("received"))
 */
export const toStream = ({ peer, read }: ChannelReader): Stream.Stream<Uint8Array, ChannelError> =>
  streamOf(
    Effect.flatMap(read, (item) =>
      item instanceof Control
        ? new ChannelTampered({ peer, detail: "unexpected control message" })
        : Effect.succeed(item)
    )
  )

/**
 * Writes bytes to the peer, and waits while the send buffer is full. Sends FIN after the last
 * element, unless `endOnDone` is false; a stream that fails sends none.
 *
 * @example
 * yield* Stream.run(fileSystem.stream("big.iso"), Channel.toSink(channel))
 */
export const toSink = (
  channel: ChannelWriter,
  options?: SinkOptions
): Sink.Sink<void, Uint8Array, never, ChannelError> => sinkOf(channel, options)
