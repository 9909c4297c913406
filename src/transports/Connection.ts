import type { Duplex } from "node:stream"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
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
  /** The next bytes, at least one, in order; undefined once the peer has ended its stream. One reader at a time. */
  readonly read: Effect.Effect<Uint8Array | undefined, ConnectionLost>
  /** Hands bytes over and waits while the peer does not take them. The bytes must not change afterwards. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionLost>
  /** Ends this side's stream after all that was written; reading goes on (half-close). */
  readonly end: Effect.Effect<void, ConnectionLost>
  /** Ends both streams at once, seen by the peer as a reset where the transport can say so. */
  readonly abort: Effect.Effect<void>
}

/** A stream of Node with what it has of its own: net.Socket, the memory pair, standard input and output. */
export interface Wire {
  readonly stream: Duplex
  readonly peer: string
  /** Ends both directions abruptly. */
  readonly reset: () => void
}

/** A Connection over any Duplex stream that allows half-open use. */
export const fromWire = ({ stream, peer, reset }: Wire): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const reader = new Reader(stream, peer)
      const connection: Connection = {
        peer,
        read: reader.read,
        write: (bytes) => write(stream, reader, bytes),
        end: end(stream, reader),
        abort: Effect.sync(reset)
      }
      return connection
    }),
    (_, exit) => release(stream, reset, exit)
  )

type Resume<A> = (effect: Effect.Effect<A, ConnectionLost>) => void

/** Takes what the stream gives and keeps it until somebody asks; pauses the stream when enough lies ready. */
class Reader {
  readonly #stream: Duplex
  readonly #peer: string
  #ready: Array<Uint8Array> = []
  #readyBytes = 0
  #ended = false
  #lost: ConnectionLost | undefined
  #waiting: Resume<Uint8Array | undefined> | undefined
  readonly #onLost = new Set<() => void>()

  constructor(stream: Duplex, peer: string) {
    this.#stream = stream
    this.#peer = peer
    // Permanent: an 'error' without a listener would end the process.
    stream.on("error", (error: NodeJS.ErrnoException) => this.#lose(error.code ?? "CLOSED"))
    stream.on("close", () => this.#lose("CLOSED"))
    stream.on("end", () => {
      this.#ended = true
      this.#wake()
    })
    stream.on("data", (chunk: Uint8Array) => {
      this.#ready.push(chunk)
      this.#readyBytes += chunk.length
      if (this.#readyBytes >= limits.readAheadBytes) stream.pause()
      this.#wake()
    })
    stream.pause()
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

  /** Set once the connection is gone; writes look here. */
  get lost(): ConnectionLost | undefined {
    return this.#lost
  }

  /** Calls back when the connection is lost; returns how to stop that. */
  onLost(callback: () => void): () => void {
    this.#onLost.add(callback)
    return () => this.#onLost.delete(callback)
  }

  /** What the next read gives, if that is known: bytes that came before an end or a loss come first. */
  #take(): Effect.Effect<Uint8Array | undefined, ConnectionLost> | undefined {
    const chunk = this.#ready.shift()
    if (chunk !== undefined) {
      this.#readyBytes -= chunk.length
      return Effect.succeed(chunk)
    }
    if (this.#ended) return Effect.succeed(undefined)
    return this.#lost
  }

  #wake(): void {
    const resume = this.#waiting
    const now = resume === undefined ? undefined : this.#take()
    if (resume === undefined || now === undefined) return
    this.#waiting = undefined
    resume(now)
  }

  #lose(code: string): void {
    this.#lost ??= new ConnectionLost({ peer: this.#peer, code })
    this.#wake()
    for (const callback of this.#onLost) callback()
    this.#onLost.clear()
  }
}

const write = (stream: Duplex, reader: Reader, bytes: Uint8Array): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    if (reader.lost !== undefined) return resume(reader.lost)
    if (stream.writableEnded || stream.destroyed) return resume(new ConnectionLost({ peer: "this side", code: "ENDED" }))
    if (stream.write(bytes)) return resume(Effect.void)
    return awaiting(stream, reader, "drain", resume)
  })

const end = (stream: Duplex, reader: Reader): Effect.Effect<void, ConnectionLost> =>
  Effect.async((resume) => {
    if (stream.writableFinished) return resume(Effect.void)
    if (reader.lost !== undefined) return resume(reader.lost)
    const stop = awaiting(stream, reader, "finish", resume)
    if (!stream.writableEnded) stream.end()
    return stop
  })

/** Resumes at the event, or with the loss that makes the event impossible. Never hangs on a stream that is gone. */
const awaiting = (stream: Duplex, reader: Reader, event: "drain" | "finish", resume: Resume<void>): Effect.Effect<void> => {
  const happened = () => {
    stopLost()
    resume(Effect.void)
  }
  const stopLost = reader.onLost(() => {
    stream.off(event, happened)
    resume(reader.lost ?? Effect.void)
  })
  stream.once(event, happened)
  return Effect.sync(() => {
    stream.off(event, happened)
    stopLost()
  })
}

/** Success: flush, end, close, within a deadline. Failure and interruption: reset. Always destroyed afterwards. */
const release = (stream: Duplex, reset: () => void, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (stream.destroyed) return
    if (Exit.isFailure(exit)) return reset()
    const flushed = yield* Deferred.make<void>()
    const done = () => Deferred.unsafeDone(flushed, Effect.void)
    stream.once("finish", done)
    stream.once("close", done)
    if (stream.writableFinished) done()
    else if (!stream.writableEnded) stream.end()
    yield* Effect.timeoutOption(Deferred.await(flushed), limits.closeDeadline)
    if (stream.writableFinished) stream.destroy()
    else reset()
  })
