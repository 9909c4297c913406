import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import { sinkOf, streamOf, type SinkOptions } from "./ByteStreams.ts"
import { releaseAtMost } from "./Deadline.ts"
import type { Flow, FlowListener, Wire } from "./Flow.ts"
import { limits } from "./limits.ts"
import { StreamFlow } from "./StreamFlow.ts"
import { ConnectionLost } from "./TransportErrors.ts"

export type { Flow, FlowListener, Wire }

/**
 * Two byte streams, one in each direction. It reads on demand: unread bytes wait in the peer's
 * kernel, apart from `limits.readAheadBytes` here. It ends with its scope: flushed and closed when
 * the scope succeeds, reset when it fails, so that an incomplete stream never looks complete.
 */
export interface Connection {
  /** The peer's address in the form of the transport: `127.0.0.1:51234`, `unix:/run/app.sock`. */
  readonly peer: string
  /** The local address, where the transport has one: `127.0.0.1:8080`. */
  readonly local: string | undefined
  /**
   * Reads the next bytes, at least one; undefined after the peer has ended its stream. One reader
   * at a time.
   */
  readonly read: Effect.Effect<Uint8Array | undefined, ConnectionLost>
  /**
   * Writes bytes; waits while the send buffer is full. The caller must not change the bytes
   * afterwards.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionLost>
  /** Ends this side's stream after all written bytes; reading continues (half-close). */
  readonly end: Effect.Effect<void, ConnectionLost>
  /** Ends both streams at once; the peer sees a reset where the transport has one. */
  readonly abort: Effect.Effect<void>
  /** The same connection with callbacks, for a protocol on top. */
  readonly flow: Flow
}

/**
 * A connection as a Stream and a Sink.
 *
 * @example
 * const upperCase = Stream.map(Connection.toStream(connection), (bytes) =>
 *   Buffer.from(Buffer.from(bytes).toString("latin1").toUpperCase(), "latin1")
 * )
 * yield* Stream.run(upperCase, Connection.toSink(connection))
 */
export const Connection = {
  /**
   * The bytes that the peer sends, until it ends its stream. Reads when an element is demanded; no
   * element is empty.
   */
  toStream: ({ read }: Pick<Connection, "read">): Stream.Stream<Uint8Array, ConnectionLost> =>
    streamOf(read),
  /**
   * Writes bytes, and waits while the send buffer is full. Ends this side's stream after the last
   * element, unless `endOnDone` is false; a stream that fails does not end it.
   */
  toSink: (
    connection: Pick<Connection, "write" | "end">,
    options?: SinkOptions
  ): Sink.Sink<void, Uint8Array, never, ConnectionLost> => sinkOf(connection, options)
} as const

/** Makes a connection over a Duplex stream that allows half-open use. */
export const fromWire = (wire: Wire): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.suspend(() => {
    const flow = new StreamFlow(wire)
    return Effect.as(closeWithScope(flow), connectionOf(flow))
  })

/** Closes the stream of a flow with the scope: flushed after success, reset after failure. */
export const closeWithScope = (flow: StreamFlow): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer((exit) => close(flow.wire, exit))

/** Makes the connection of a flow. Its caller closes it. */
export const connectionOf = (flow: StreamFlow): Connection => ({
  peer: flow.wire.peer,
  local: flow.wire.local,
  read: read(flow),
  write: (bytes) => write(flow, bytes),
  end: end(flow),
  abort: Effect.sync(() => flow.reset()),
  flow: {
    start: (listener) => flow.start(listener),
    stop: (unread) => flow.stop(unread),
    pause: () => flow.pause(),
    resume: () => flow.resume(),
    write: (bytes, released) => flow.write(bytes, released),
    release: (chunk) => flow.release(chunk),
    end: () => flow.end(),
    reset: () => flow.reset(),
    isResetByPeer: () => flow.isResetByPeer()
  }
})

type Resume<A> = (effect: Effect.Effect<A, ConnectionLost>) => void

/** Connection.read of a flow. */
export const read = (flow: StreamFlow): Connection["read"] => {
  const next: Connection["read"] = Effect.async((resume) => {
    const chunk = flow.take()
    if (chunk !== undefined) return resume(Effect.succeed(chunk))
    if (flow.isAtEnd) return resume(Effect.succeed(undefined))
    if (flow.lost !== undefined) return resume(flow.lost)
    // The fiber takes the chunk itself, so that an interruption at this moment loses no bytes.
    return Effect.sync(flow.awaitEvent(() => resume(next)))
  })
  return next
}

/** Connection.write of a flow. */
export const write = (flow: StreamFlow, bytes: Uint8Array): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    const { stream, lost } = flow
    if (lost !== undefined) return resume(lost)
    if (stream.writableEnded || stream.destroyed)
      return resume(new ConnectionLost({ peer: "this side", code: "ENDED" }))
    if (stream.write(bytes)) return resume(Effect.void)
    // A concurrent end() replaces the drain event by finish.
    return awaitEvent(flow, ["drain", "finish"], resume)
  })

/** Connection.end of a flow. */
export const end = (flow: StreamFlow): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    const { stream, lost } = flow
    if (stream.writableFinished) return resume(Effect.void)
    if (lost !== undefined) return resume(lost)
    const cancel = awaitEvent(flow, ["finish"], resume)
    if (!stream.writableEnded) stream.end()
    return cancel
  })

/**
 * Resumes at one of the events, or at the loss of the connection, after which none of them occurs.
 */
const awaitEvent = (
  flow: StreamFlow,
  events: ReadonlyArray<"drain" | "finish">,
  resume: Resume<void>
): Effect.Effect<void> => {
  const { stream } = flow
  const stop = () => {
    for (const event of events) stream.off(event, onEvent)
    stopLost()
  }
  const onEvent = () => {
    stop()
    resume(Effect.void)
  }
  const stopLost = flow.onLost(() => {
    stop()
    resume(flow.lost ?? Effect.void)
  })
  for (const event of events) stream.on(event, onEvent)
  return Effect.sync(stop)
}

/**
 * Closes the stream after success (flush, end, within a deadline); resets it after failure or
 * interruption.
 */
const close = (wire: Wire, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { stream } = wire
    if (stream.destroyed) return Effect.void
    if (Exit.isFailure(exit)) wire.reset()
    // The protocol on top has already ended the stream.
    else if (stream.writableFinished) stream.destroy()
    else return flush(wire)
    return Effect.void
  })

/** Ends the stream and waits until all is written; then closes it, or resets it if that fails. */
const flush = (wire: Wire): Effect.Effect<void> =>
  releaseAtMost(limits.closeDeadline, (done) => {
    const { stream } = wire
    stream.once("finish", done)
    stream.once("close", done)
    if (!stream.writableEnded) stream.end()
  }).pipe(
    Effect.map(() => {
      if (wire.stream.writableFinished) wire.stream.destroy()
      else wire.reset()
    })
  )
