import { Duplex } from "node:stream"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { acceptor, type Acceptor, type Handler, type ListenOptions } from "./Acceptor.ts"
import { format, tcp, type Address } from "./Address.ts"
import { fromWire, type Wire } from "./Connection.ts"
import type { Transport } from "./Transport.ts"
import { ConnectFailed, PortInUse } from "./TransportErrors.ts"

/** Bytes after which a connection is lost, by direction, as the side that connected sees it. */
export interface Cut {
  readonly written: number
  readonly read: number
}

/** What a network in memory does to the bytes. */
export interface MemoryOptions {
  /** What is written arrives in pieces of at most so many bytes, down to 1. */
  readonly chunkBytes?: number
  /** Everything arrives so much later, by the clock of who connects: a TestClock moves it. */
  readonly delay?: Duration.DurationInput
  /** Where the connections are cut, in the order in which they are made; those after the last of them last. */
  readonly cuts?: ReadonlyArray<Cut>
}

const neverCut: Cut = { written: Number.POSITIVE_INFINITY, read: Number.POSITIVE_INFINITY }

/** A network of its own inside this process, with the manners of TCP: half-close, back-pressure, reset. */
export const makeMemory = (options: MemoryOptions = {}): Transport.Shape => {
  const { chunkBytes = Number.POSITIVE_INFINITY, delay, cuts = [] } = options
  const doors = new Map<string, Acceptor>()
  let nextPort = 49_152
  let made = 0

  return {
    connect: (address) =>
      Effect.clockWith((clock) => {
        const door = doors.get(format(address))
        if (door === undefined)
          return new ConnectFailed({
            address: format(address),
            reason: "refused",
            code: "ECONNREFUSED"
          })
        const { written, read } = cuts[made++] ?? neverCut
        const later =
          delay === undefined ? atOnce : (happen: () => void) => after(clock, delay, happen)
        const [near, far] = memoryPair({ chunkBytes, later }, written, read)
        const here = tcp("127.0.0.1", nextPort++)
        door.accept(wireOf(far, format(here)))
        return fromWire(wireOf(near, format(address)))
      }).pipe(Effect.uninterruptible),
    listen: <R>(asked: Address, handler: Handler<R>, options?: ListenOptions) =>
      Effect.gen(function* () {
        const address =
          asked._tag === "Tcp" && asked.port === 0 ? tcp(asked.host, nextPort++) : asked
        const place = format(address)
        if (doors.has(place)) return yield* new PortInUse({ address: place })
        const door = yield* acceptor(handler, options)
        yield* Effect.acquireRelease(
          Effect.sync(() => doors.set(place, door)),
          () => Effect.sync(() => doors.delete(place))
        )
        return { address, boundAddress: address, halfOpen: door.halfOpen }
      })
  }
}

const wireOf = (end: MemoryEnd, peer: string): Wire => {
  // From the first moment on, as Net has it.
  end.on("error", () => {})
  return { stream: end, peer, reset: () => end.reset() }
}

/** What lies between two ends. */
interface Line {
  readonly chunkBytes: number
  /** Lets it happen at the far end, in order. */
  readonly later: (happen: () => void) => void
}

const atOnce = (happen: () => void): void => happen()

const after = (clock: Clock.Clock, delay: Duration.DurationInput, happen: () => void): void => {
  Effect.runFork(Effect.zipRight(clock.sleep(Duration.decode(delay)), Effect.sync(happen)))
}

/** Two streams, each the other's far end, and how many bytes each lets through before the connection is lost. */
const memoryPair = (line: Line, written: number, read: number): readonly [MemoryEnd, MemoryEnd] => {
  const near = new MemoryEnd(line, written)
  const far = new MemoryEnd(line, read)
  near.far = far
  far.far = near
  return [near, far]
}

const connectionReset = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })

class MemoryEnd extends Duplex {
  far: MemoryEnd | undefined
  readonly #line: Line
  /** Bytes until it is lost. */
  #left: number
  /** The far end's write that waits until this end is read. */
  #unread: (() => void) | undefined

  constructor(line: Line, left: number) {
    super({ allowHalfOpen: true, autoDestroy: true })
    this.#line = line
    this.#left = left
  }

  /** Both directions end abruptly; the far end sees ECONNRESET. */
  reset(): void {
    const { far } = this
    this.#line.later(() => far?.destroy(connectionReset()))
    this.destroy()
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    callback: (error?: Error | null) => void
  ): void {
    const far = this.far
    if (far === undefined || far.destroyed || far.readableEnded) return callback(connectionReset())
    const bytes = Buffer.from(chunk).subarray(0, this.#left)
    this.#left -= chunk.length
    const taken = () => {
      if (this.#left <= 0) this.reset()
      callback()
    }
    this.#line.later(() => far.#receive(bytes, this.#line.chunkBytes, taken))
  }

  override _final(callback: (error?: Error | null) => void): void {
    const { far } = this
    this.#line.later(() => {
      if (far?.destroyed === false) far.push(null)
      callback()
    })
  }

  override _read(): void {
    const unread = this.#unread
    this.#unread = undefined
    unread?.()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const far = this.far
    // As a closed socket does: the far end reads an end, and what it still writes fails.
    if (error === null && !this.writableFinished)
      this.#line.later(() => {
        if (far?.destroyed === false && !far.readableEnded) far.push(null)
      })
    const unread = this.#unread
    this.#unread = undefined
    unread?.()
    callback(error)
  }

  /** Takes the bytes piece by piece, each when the one before has been asked for. */
  #receive(bytes: Uint8Array, most: number, callback: () => void): void {
    const piece = bytes.subarray(0, most)
    const rest = bytes.subarray(piece.length)
    if (this.destroyed) return callback()
    const go = () => (rest.length === 0 ? callback() : this.#receive(rest, most, callback))
    if (this.push(piece)) process.nextTick(go)
    else this.#unread = go
  }
}
