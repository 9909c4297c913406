import { Duplex } from "node:stream"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { acceptor, type Acceptor, type Handler, type ListenOptions } from "./Acceptor.ts"
import { format, tcp, type Address } from "./Address.ts"
import { fromWire, type Wire } from "./Connection.ts"
import type { Transport } from "./Transport.ts"
import { ConnectFailed, PortInUse } from "./TransportErrors.ts"

/**
 * The number of bytes in each direction, as the connecting side sees it, after which a connection
 * is reset.
 */
export interface Cut {
  readonly written: number
  readonly read: number
}

/** Faults that a network in memory injects. */
export interface MemoryOptions {
  /** The largest chunk in which bytes arrive, in bytes, at least 1. */
  readonly chunkBytes?: number
  /** Delays all bytes by this much on the clock of the connecting side; a TestClock controls it. */
  readonly delay?: Duration.DurationInput
  /** Resets the nth connection as the nth element says; later connections are not reset. */
  readonly cuts?: ReadonlyArray<Cut>
}

const neverCut: Cut = { written: Number.POSITIVE_INFINITY, read: Number.POSITIVE_INFINITY }

/**
 * A separate network within this process that behaves like TCP: half-close, back-pressure, reset.
 */
export const makeMemory = (options: MemoryOptions = {}): Transport.Shape => {
  const { chunkBytes = Number.POSITIVE_INFINITY, delay, cuts = [] } = options
  const listeners = new Map<string, Acceptor>()
  let nextPort = 49_152
  let connections = 0

  return {
    connect: (address) =>
      Effect.clockWith((clock) => {
        const listener = listeners.get(format(address))
        if (listener === undefined)
          return new ConnectFailed({
            address: format(address),
            reason: "refused",
            code: "ECONNREFUSED"
          })
        const { written, read } = cuts[connections++] ?? neverCut
        const deliver =
          delay === undefined ? atOnce : (action: () => void) => after(clock, delay, action)
        const [near, far] = memoryPair({ chunkBytes, deliver }, written, read)
        const local = tcp("127.0.0.1", nextPort++)
        listener.accept(wireOf(far, format(local)))
        return fromWire(wireOf(near, format(address)))
      }).pipe(Effect.uninterruptible),
    listen: <R>(requested: Address, handler: Handler<R>, options?: ListenOptions) =>
      Effect.gen(function* () {
        const address =
          requested._tag === "Tcp" && requested.port === 0
            ? tcp(requested.host, nextPort++)
            : requested
        const key = format(address)
        if (listeners.has(key)) return yield* new PortInUse({ address: key })
        const listener = yield* acceptor(handler, options)
        yield* Effect.acquireRelease(
          Effect.sync(() => listeners.set(key, listener)),
          () => Effect.sync(() => listeners.delete(key))
        )
        return { address, boundAddress: address, halfOpen: listener.halfOpen }
      })
  }
}

const wireOf = (end: MemoryEnd, peer: string): Wire => {
  // Added at once, as in Net: an 'error' event without a listener ends the process.
  end.on("error", () => {})
  return { stream: end, peer, reset: () => end.reset() }
}

/** The link between the two ends of a connection. */
interface Link {
  readonly chunkBytes: number
  /** Runs the action at the far end, after the delay and in order. */
  readonly deliver: (action: () => void) => void
}

const atOnce = (action: () => void): void => action()

const after = (clock: Clock.Clock, delay: Duration.DurationInput, action: () => void): void => {
  Effect.runFork(Effect.zipRight(clock.sleep(Duration.decode(delay)), Effect.sync(action)))
}

/**
 * Two connected streams. `written` and `read` are the byte counts after which each resets the
 * connection.
 */
const memoryPair = (link: Link, written: number, read: number): readonly [MemoryEnd, MemoryEnd] => {
  const near = new MemoryEnd(link, written)
  const far = new MemoryEnd(link, read)
  near.far = far
  far.far = near
  return [near, far]
}

const connectionReset = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })

class MemoryEnd extends Duplex {
  far: MemoryEnd | undefined
  readonly #link: Link
  /** Bytes that may still be written before the connection is reset. */
  #remaining: number
  /** Continues the far end's write; called when this end is read. */
  #continueWrite: (() => void) | undefined

  constructor(link: Link, remaining: number) {
    super({ allowHalfOpen: true, autoDestroy: true })
    this.#link = link
    this.#remaining = remaining
  }

  /** Ends both directions abruptly; the far end fails with ECONNRESET. */
  reset(): void {
    const { far } = this
    this.#link.deliver(() => far?.destroy(connectionReset()))
    this.destroy()
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    callback: (error?: Error | null) => void
  ): void {
    const far = this.far
    if (far === undefined || far.destroyed || far.readableEnded) return callback(connectionReset())
    const bytes = Buffer.from(chunk).subarray(0, this.#remaining)
    this.#remaining -= chunk.length
    const done = () => {
      if (this.#remaining <= 0) this.reset()
      callback()
    }
    this.#link.deliver(() => far.#receive(bytes, this.#link.chunkBytes, done))
  }

  override _final(callback: (error?: Error | null) => void): void {
    const { far } = this
    this.#link.deliver(() => {
      if (far?.destroyed === false) far.push(null)
      callback()
    })
  }

  override _read(): void {
    const continueWrite = this.#continueWrite
    this.#continueWrite = undefined
    continueWrite?.()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const far = this.far
    // As with a closed socket, the far end reads an end, and its further writes fail.
    if (error === null && !this.writableFinished)
      this.#link.deliver(() => {
        if (far?.destroyed === false && !far.readableEnded) far.push(null)
      })
    const continueWrite = this.#continueWrite
    this.#continueWrite = undefined
    continueWrite?.()
    callback(error)
  }

  /** Delivers the bytes chunk by chunk; the next chunk waits until the previous one was read. */
  #receive(bytes: Uint8Array, chunkBytes: number, callback: () => void, from = 0): void {
    if (this.destroyed) return callback()
    const to = from + chunkBytes
    const next = () =>
      to >= bytes.length ? callback() : this.#receive(bytes, chunkBytes, callback, to)
    if (this.push(bytes.subarray(from, to))) process.nextTick(next)
    else this.#continueWrite = next
  }
}
