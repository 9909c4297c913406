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
 * Two byte streams, one each way. Pull-based: what is not read waits in the peer's kernel, never here (beyond
 * `limits.readAheadBytes`). It ends with its scope: flushed and closed when the scope succeeded, reset when it
 * failed, so that an unfinished stream never looks like a finished one.
 */
export interface Connection {
  /** Who is there, as the transport knows it: `127.0.0.1:51234`, `unix:/run/app.sock`. */
  readonly peer: string
  /** This side's own address, where the transport has one: `127.0.0.1:8080`. */
  readonly local: string | undefined
  /** The next bytes, at least one, in order; undefined once the peer has ended its stream. One reader at a time. */
  readonly read: Effect.Effect<Uint8Array | undefined, ConnectionLost>
  /** Hands bytes over and waits while the peer does not take them. The bytes must not change afterwards. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionLost>
  /** Ends this side's stream after all that was written; reading goes on (half-close). */
  readonly end: Effect.Effect<void, ConnectionLost>
  /** Ends both streams at once, seen by the peer as a reset where the transport can say so. */
  readonly abort: Effect.Effect<void>
  /** For a protocol on top. */
  readonly flow: Flow
}

/** The same connection without an Effect for each read and write: at small messages those are the whole cost. */
export interface Flow {
  /**
   * From now on every chunk goes to the sink, synchronously and in order, those that lie ready first. `read` is over.
   * It hears at once of an end or a loss that has been.
   */
  readonly start: (sink: FlowListener) => void
  /** The sink hears no more. What it leaves unread, and what comes, waits for the next one, or for `read`. */
  readonly stop: (unread: Uint8Array) => void
  /** Stops and restarts reading; what is under way already still comes. */
  readonly pause: () => void
  /** Goes on reading. */
  readonly resume: () => void
  /**
   * Hands bytes over now. False when the peer does not keep up: the sink hears `drained`. Nothing once it is lost.
   * `taken` is called when the memory may be used again.
   */
  readonly write: (bytes: Uint8Array, taken?: () => void) => boolean
  /** A chunk that the sink got is not needed any more: its memory may go at once, and the chunk is empty then. */
  readonly release: (chunk: Uint8Array) => void
  /** Ends this side's stream after all that was written. */
  readonly end: () => void
  /** As `abort`, now. */
  readonly reset: () => void
  /** Asks whether the peer has gone wholly, where that can be known: nothing tells it while nothing is read or written. */
  readonly isResetByPeer: () => boolean
}

/** What hears a Flow. */
export interface FlowListener {
  /** The next bytes. */
  readonly bytes: (chunk: Uint8Array) => void
  /** The peer keeps up again. */
  readonly drained: () => void
  /** The peer has ended its stream. */
  readonly end: () => void
  /** No more bytes either way. May come after `end`. */
  readonly lost: (code: string) => void
}

/** A stream of Node with what it has of its own: net.Socket, the memory pair, standard input and output. */
export interface Wire {
  readonly stream: Duplex
  readonly peer: string
  readonly local?: string | undefined
  /** The stream gives chunks that nobody else has: of those that are not needed the memory may go. */
  readonly ownsChunks?: boolean
  /** Ends both directions abruptly. */
  readonly reset: () => void
  /** Asked at the end of the stream: the error by which it ended in truth, where the stream may hide one. */
  readonly endError?: () => Error | undefined
  /** Flow.gone. */
  readonly isResetByPeer?: () => boolean
}

/** A Connection over any Duplex stream that allows half-open use. */
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
          start: (sink) => reader.start(sink),
          stop: (unread) => reader.stop(unread),
          pause: () => stream.pause(),
          resume: () => stream.resume(),
          write: (bytes, taken) =>
            reader.isLost || stream.writableEnded || stream.write(bytes, taken),
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
    (_, exit) => release(wire, exit)
  )

type Resume<A> = (effect: Effect.Effect<A, ConnectionLost>) => void

/** Takes what the stream gives and keeps it until somebody asks; pauses the stream when enough lies ready. */
class Reader {
  readonly #stream: Duplex
  readonly #peer: string
  #ready: Array<Uint8Array> = []
  #readyBytes = 0
  #ended = false
  /** How it was lost. An error costs as much as a record, and most connections end in good order: made when asked for. */
  #lostCode: string | undefined
  #waiting: Resume<Uint8Array | undefined> | undefined
  #sink: FlowListener | undefined
  readonly #onLost = new Set<() => void>()

  constructor({ stream, peer, endError }: Wire) {
    this.#stream = stream
    this.#peer = peer
    // Each waiting writer listens, and Node warns of more than ten.
    stream.setMaxListeners(0)
    // Permanent: an 'error' without a listener would end the process.
    stream.on("error", (error: NodeJS.ErrnoException) => this.#lose(error))
    stream.on("close", () => this.#lose(stream.errored))
    stream.on("end", () => {
      const error = endError?.()
      if (error === undefined) this.#ended = true
      else stream.destroy(error)
      this.#wake()
      if (this.#ended) this.#sink?.end()
    })
    stream.on("drain", () => this.#sink?.drained())
    stream.on("data", (chunk: Uint8Array) => {
      if (this.#sink !== undefined) {
        this.#sink.bytes(chunk)
        return
      }
      this.#ready.push(chunk)
      this.#readyBytes += chunk.length
      if (this.#readyBytes >= limits.readAheadBytes || this.#ready.length >= limits.readAheadChunks)
        stream.pause()
      this.#wake()
    })
    stream.pause()
    // Lost before anybody could listen: the events are over.
    if (stream.destroyed) this.#lose(stream.errored)
  }

  readonly read: Effect.Effect<Uint8Array | undefined, ConnectionLost> = Effect.async((resume) => {
    const now = this.#take()
    if (now !== undefined) return resume(now)
    this.#waiting = resume
    this.#stream.resume()
    return Effect.sync(() => {
      this.#waiting = undefined
    })
  })

  start(sink: FlowListener): void {
    this.#sink = sink
    // It may stop in the middle.
    while (this.#sink === sink && this.#ready.length > 0) sink.bytes(this.#shift() as Uint8Array)
    if (this.#sink === sink && this.#ended) sink.end()
    if (this.#sink === sink && this.#lostCode !== undefined) sink.lost(this.#lostCode)
    if (this.#sink === sink) this.#stream.resume()
  }

  stop(unread: Uint8Array): void {
    this.#sink = undefined
    this.#stream.pause()
    if (unread.length === 0) return
    this.#ready.unshift(unread)
    this.#readyBytes += unread.length
  }

  #shift(): Uint8Array | undefined {
    const chunk = this.#ready.shift()
    this.#readyBytes -= chunk?.length ?? 0
    return chunk
  }

  /** Set once the connection is gone; writes look here. */
  get lost(): ConnectionLost | undefined {
    return this.#lostCode === undefined
      ? undefined
      : new ConnectionLost({ peer: this.#peer, code: this.#lostCode })
  }

  /** True once the connection is gone. */
  get isLost(): boolean {
    return this.#lostCode !== undefined
  }

  /** Calls back when the connection is lost; returns how to stop that. */
  onLost(callback: () => void): () => void {
    this.#onLost.add(callback)
    return () => this.#onLost.delete(callback)
  }

  /** What the next read gives, if that is known: bytes that came before an end or a loss come first. */
  #take(): Effect.Effect<Uint8Array | undefined, ConnectionLost> | undefined {
    const chunk = this.#shift()
    if (chunk !== undefined) return Effect.succeed(chunk)
    if (this.#ended) return Effect.succeed(undefined)
    return this.lost
  }

  #wake(): void {
    const resume = this.#waiting
    if (resume === undefined) return
    this.#waiting = undefined
    // Taken by the reader itself: a reader that is interrupted at this moment takes nothing.
    resume(this.read)
  }

  #lose(error: NodeJS.ErrnoException | null): void {
    if (this.#lostCode === undefined) {
      this.#lostCode = error?.code ?? "CLOSED"
      this.#sink?.lost(this.#lostCode)
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
    // An end that somebody else asked for takes the place of the drain.
    return awaiting(stream, reader, ["drain", "finish"], resume)
  })

const end = (stream: Duplex, reader: Reader): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    if (stream.writableFinished) return resume(Effect.void)
    if (reader.lost !== undefined) return resume(reader.lost)
    const stop = awaiting(stream, reader, ["finish"], resume)
    if (!stream.writableEnded) stream.end()
    return stop
  })

/** Resumes at one of the events, or with the loss that makes them impossible. Never hangs on a stream that is gone. */
const awaiting = (
  stream: Duplex,
  reader: Reader,
  events: ReadonlyArray<"drain" | "finish">,
  resume: Resume<void>
): Effect.Effect<void> => {
  const stop = () => {
    for (const event of events) stream.off(event, happened)
    stopLost()
  }
  const happened = () => {
    stop()
    resume(Effect.void)
  }
  const stopLost = reader.onLost(() => {
    stop()
    resume(reader.lost ?? Effect.void)
  })
  for (const event of events) stream.on(event, happened)
  return Effect.sync(stop)
}

/** Success: flush, end, close, within a deadline. Failure and interruption: reset. Always destroyed afterwards. */
const release = ({ stream, reset }: Wire, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (stream.destroyed) return
    if (Exit.isFailure(exit)) return reset()
    // The way of a protocol that says its own end: nothing to wait for.
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
