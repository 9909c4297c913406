// A connection, and whatever else is read and written like one, as a Stream and a Sink.
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"

/** Options of a sink. */
export interface SinkOptions {
  /** Ends this side's stream after the last element. Default: true. */
  readonly endOnDone?: boolean
}

/** Bytes that are read on demand; undefined after the end. */
type Read<E> = Effect.Effect<Uint8Array | undefined, E>

/** This side's direction: bytes, then an end. */
interface Writer<E> {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  readonly end: Effect.Effect<void, E>
}

/** Reads when an element is demanded, so that back-pressure stops the peer. No element is empty. */
export const streamOf = <E>(read: Read<E>): Stream.Stream<Uint8Array, E> => {
  const next: Effect.Effect<Uint8Array, Option.Option<E>> = Effect.matchEffect(read, {
    onFailure: (error) => Effect.fail(Option.some(error)),
    onSuccess: (bytes) => {
      if (bytes === undefined) return Effect.fail(Option.none())
      return bytes.length === 0 ? next : Effect.succeed(bytes)
    }
  })
  return Stream.repeatEffectOption(next)
}

/**
 * Writes every element; demands the next when the send buffer has room. A stream that fails is not
 * ended, so that what was written never looks complete.
 */
export const sinkOf = <E>(
  { write, end }: Writer<E>,
  { endOnDone = true }: SinkOptions = {}
): Sink.Sink<void, Uint8Array, never, E> => {
  const writing = Sink.forEach<Uint8Array, void, E, never>((bytes) =>
    bytes.length === 0 ? Effect.void : write(bytes)
  )
  return endOnDone ? Sink.zipRight(writing, Sink.fromEffect(end)) : writing
}
