import type { Duplex } from "node:stream"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Release from "../bytes/Release.ts"
import { awaitAtMost } from "./Deadline.ts"
import { limits } from "./limits.ts"
import { ConnectionLost } from "./TransportErrors.ts"

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
 * A connection with callbacks: with small messages an Effect per read and write is the whole CPU
 * cost.
 */
export interface Flow {
  /**
   * Sends every chunk to the listener, synchronously and in order, buffered chunks first. `read`
   * must not be used afterwards. An end or a loss that has already happened is reported at once.
   */
  readonly start: (listener: FlowListener) => void
  /** Detaches the listener. `unread` and later bytes wait for the next listener or for `read`. */
  readonly stop: (unread: Uint8Array) => void
  /** Pauses reading; chunks already read are still delivered. */
  readonly pause: () => void
  /** Resumes reading. */
  readonly resume: () => void
  /**
   * Writes bytes now. Returns false when the send buffer is full; the listener's `drained` follows.
   * Does nothing after a loss. Calls `released` when the memory may be reused.
   */
  readonly write: (bytes: Uint8Array, released?: () => void) => boolean
  /** Frees the memory of a delivered chunk, which is empty afterwards. */
  readonly release: (chunk: Uint8Array) => void
  /** Ends this side's stream after all written bytes. */
  readonly end: () => void
  /** Ends both streams at once, as `Connection.abort`. */
  readonly reset: () => void
  /**
   * Checks whether the peer has reset the connection, where the transport can tell. While nothing
   * is read or written, no event reports it.
   */
  readonly isResetByPeer: () => boolean
}

/** Receives the events of a Flow. */
export interface FlowListener {
  /** The next bytes. */
  readonly bytes: (chunk: Uint8Array) => void
  /** The send buffer has room again. */
  readonly drained: () => void
  /** The peer has ended its stream. */
  readonly end: () => void
  /** The connection is lost in both directions. May follow `end`. */
  readonly lost: (code: string) => void
}

/**
 * A Node stream and the operations that its kind adds: net.Socket, the memory pair, standard input
 * and output.
 */
export interface Wire {
  readonly stream: Duplex
  readonly peer: string
  readonly local?: string | undefined
  /** The stream's chunks share no memory, so that it can be freed explicitly. */
  readonly ownsChunks?: boolean
  /** Ends both directions abruptly. */
  readonly reset: () => void
  /**
   * Called at the end of the stream. Returns the error that the stream has presented as an end, if
   * any.
   */
  readonly endError?: () => Error | undefined
  /** Flow.isResetByPeer. */
  readonly isResetByPeer?: () => boolean
}

/** Makes a connection over a Duplex stream that allows half-open use. */
export const fromWire = (wire: Wire): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { stream, peer, reset } = wire
      const reader = new Reader(wire)
      const connection: Connection = {
        peer,
        local: wire.local,
        read: reader.read,
        write: (bytes) => write(stream, reader, bytes),
        end: end(stream, reader),
        abort: Effect.sync(reset),
        flow: {
          start: (listener) => reader.start(listener),
          stop: (unread) => reader.stop(unread),
          pause: () => stream.pause(),
          resume: () => stream.resume(),
          write: (bytes, released) =>
            reader.isLost || stream.writableEnded || stream.write(bytes, released),
          release: wire.ownsChunks === true ? Release.release : () => {},
          end: () => {
            if (!stream.writableEnded && !stream.destroyed) stream.end()
          },
          reset,
          isResetByPeer: () => reader.isLost || wire.isResetByPeer?.() === true
        }
      }
      return connection
    }),
    (_, exit) => close(wire, exit)
  )

type Resume<A> = (effect: Effect.Effect<A, ConnectionLost>) => void

/**
 * Buffers the chunks of a stream until they are read; pauses the stream when the buffer is full.
 */
class Reader {
  readonly #stream: Duplex
  readonly #peer: string
  #buffered: Array<Uint8Array> = []
  #bufferedBytes = 0
  #ended = false
  /**
   * The code of the loss. The error is made on demand: it costs as much CPU as a record, and most
   * connections end without one.
   */
  #lostCode: string | undefined
  #waitingRead: Resume<Uint8Array | undefined> | undefined
  #listener: FlowListener | undefined
  readonly #onLost = new Set<() => void>()

  constructor({ stream, peer, endError, ownsChunks = false }: Wire) {
    this.#stream = stream
    this.#peer = peer
    // Each waiting writer adds listeners, and Node warns above ten.
    stream.setMaxListeners(0)
    // Never removed: an 'error' event without a listener ends the process.
    stream.on("error", (error: NodeJS.ErrnoException) => this.#lose(error))
    stream.on("close", () => this.#lose(stream.errored))
    stream.on("end", () => {
      const error = endError?.()
      if (error === undefined) this.#ended = true
      else stream.destroy(error)
      this.#wake()
      if (this.#ended) this.#listener?.end()
    })
    stream.on("drain", () => this.#listener?.drained())
    stream.on("data", (chunk: Uint8Array) => {
      if (ownsChunks) Release.own(chunk)
      if (this.#listener !== undefined) {
        this.#listener.bytes(chunk)
        return
      }
      this.#buffered.push(chunk)
      this.#bufferedBytes += chunk.length
      if (
        this.#bufferedBytes >= limits.readAheadBytes ||
        this.#buffered.length >= limits.readAheadChunks
      )
        stream.pause()
      this.#wake()
    })
    stream.pause()
    // The stream was destroyed before these listeners existed; its events have passed.
    if (stream.destroyed) this.#lose(stream.errored)
  }

  readonly read: Effect.Effect<Uint8Array | undefined, ConnectionLost> = Effect.async((resume) => {
    const result = this.#take()
    if (result !== undefined) return resume(result)
    this.#waitingRead = resume
    this.#stream.resume()
    return Effect.sync(() => {
      this.#waitingRead = undefined
    })
  })

  start(listener: FlowListener): void {
    this.#listener = listener
    // The listener may call stop in any of its callbacks.
    while (this.#listener === listener && this.#buffered.length > 0)
      listener.bytes(this.#shift() as Uint8Array)
    if (this.#listener === listener && this.#ended) listener.end()
    if (this.#listener === listener && this.#lostCode !== undefined) listener.lost(this.#lostCode)
    if (this.#listener === listener) this.#stream.resume()
  }

  stop(unread: Uint8Array): void {
    this.#listener = undefined
    this.#stream.pause()
    if (unread.length === 0) return
    this.#buffered.unshift(unread)
    this.#bufferedBytes += unread.length
  }

  #shift(): Uint8Array | undefined {
    const chunk = this.#buffered.shift()
    this.#bufferedBytes -= chunk?.length ?? 0
    return chunk
  }

  /** The error of a lost connection; undefined while it is open. */
  get lost(): ConnectionLost | undefined {
    return this.#lostCode === undefined
      ? undefined
      : new ConnectionLost({ peer: this.#peer, code: this.#lostCode })
  }

  /** True once the connection is lost. */
  get isLost(): boolean {
    return this.#lostCode !== undefined
  }

  /** Calls back when the connection is lost. Returns a function that cancels it. */
  onLost(callback: () => void): () => void {
    this.#onLost.add(callback)
    return () => this.#onLost.delete(callback)
  }

  /**
   * Returns the result of a read, if it is available: buffered bytes first, then the end or the
   * loss.
   */
  #take(): Effect.Effect<Uint8Array | undefined, ConnectionLost> | undefined {
    const chunk = this.#shift()
    if (chunk !== undefined) return Effect.succeed(chunk)
    if (this.#ended) return Effect.succeed(undefined)
    return this.lost
  }

  #wake(): void {
    const resume = this.#waitingRead
    if (resume === undefined) return
    this.#waitingRead = undefined
    // The fiber takes the chunk itself, so that an interruption at this moment loses no bytes.
    resume(this.read)
  }

  #lose(error: NodeJS.ErrnoException | null): void {
    if (this.#lostCode === undefined) {
      this.#lostCode = error?.code ?? "CLOSED"
      this.#listener?.lost(this.#lostCode)
    }
    this.#wake()
    for (const callback of this.#onLost) callback()
    this.#onLost.clear()
  }
}

const write = (
  stream: Duplex,
  reader: Reader,
  bytes: Uint8Array
): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    if (reader.lost !== undefined) return resume(reader.lost)
    if (stream.writableEnded || stream.destroyed)
      return resume(new ConnectionLost({ peer: "this side", code: "ENDED" }))
    if (stream.write(bytes)) return resume(Effect.void)
    // A concurrent end() replaces the drain event by finish.
    return awaitEvent(stream, reader, ["drain", "finish"], resume)
  })

const end = (stream: Duplex, reader: Reader): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    if (stream.writableFinished) return resume(Effect.void)
    if (reader.lost !== undefined) return resume(reader.lost)
    const cancel = awaitEvent(stream, reader, ["finish"], resume)
    if (!stream.writableEnded) stream.end()
    return cancel
  })

/**
 * Resumes at one of the events, or at the loss of the connection, after which none of them occurs.
 */
const awaitEvent = (
  stream: Duplex,
  reader: Reader,
  events: ReadonlyArray<"drain" | "finish">,
  resume: Resume<void>
): Effect.Effect<void> => {
  const stop = () => {
    for (const event of events) stream.off(event, onEvent)
    stopLost()
  }
  const onEvent = () => {
    stop()
    resume(Effect.void)
  }
  const stopLost = reader.onLost(() => {
    stop()
    resume(reader.lost ?? Effect.void)
  })
  for (const event of events) stream.on(event, onEvent)
  return Effect.sync(stop)
}

/**
 * Closes the stream after success (flush, end, within a deadline); resets it after failure or
 * interruption.
 */
const close = ({ stream, reset }: Wire, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (stream.destroyed) return
    if (Exit.isFailure(exit)) return reset()
    // The protocol on top has already ended the stream.
    if (stream.writableFinished) return void stream.destroy()
    const flushed = yield* Deferred.make<void>()
    const done = () => Deferred.unsafeDone(flushed, Effect.void)
    stream.once("finish", done)
    stream.once("close", done)
    if (!stream.writableEnded) stream.end()
    yield* awaitAtMost(flushed, limits.closeDeadline)
    if (stream.writableFinished) stream.destroy()
    else reset()
  })
