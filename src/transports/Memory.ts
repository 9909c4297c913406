import { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import { acceptor, type Acceptor, type Handler, type ListenOptions } from "./Acceptor.ts"
import { format, tcp, type Address } from "./Address.ts"
import { fromWire, type Wire } from "./Connection.ts"
import type { Transport } from "./Transport.ts"
import { ConnectFailed, PortInUse } from "./TransportErrors.ts"

export interface MemoryOptions {
  /** What is written arrives in pieces of at most so many bytes, down to 1. */
  readonly chunkBytes?: number
}

/** A network of its own inside this process, with the manners of TCP: half-close, back-pressure, reset. */
export const makeMemory = ({ chunkBytes = Number.POSITIVE_INFINITY }: MemoryOptions = {}): Transport.Shape => {
  const doors = new Map<string, Acceptor>()
  let nextPort = 49_152

  return {
    connect: (address) =>
      Effect.suspend(() => {
        const door = doors.get(format(address))
        if (door === undefined) return new ConnectFailed({ address: format(address), reason: "refused", code: "ECONNREFUSED" })
        const [near, far] = memoryPair(chunkBytes)
        const here = tcp("127.0.0.1", nextPort++)
        door.accept(wireOf(far, format(here)))
        return fromWire(wireOf(near, format(address)))
      }).pipe(Effect.uninterruptible),
    listen: <R>(asked: Address, handler: Handler<R>, options?: ListenOptions) =>
      Effect.gen(function* () {
        const address = asked._tag === "Tcp" && asked.port === 0 ? tcp(asked.host, nextPort++) : asked
        const place = format(address)
        if (doors.has(place)) return yield* new PortInUse({ address: place })
        const door = yield* acceptor(handler, options)
        yield* Effect.acquireRelease(
          Effect.sync(() => doors.set(place, door)),
          () => Effect.sync(() => doors.delete(place))
        )
        return { address, reachable: address, halfOpen: door.halfOpen }
      })
  }
}

const wireOf = (end: MemoryEnd, peer: string): Wire => {
  // From the first moment on, as Net has it.
  end.on("error", () => {})
  return { stream: end, peer, reset: () => end.reset() }
}

/** Two streams, each the other's far end. */
export const memoryPair = (chunkBytes: number): readonly [MemoryEnd, MemoryEnd] => {
  const near = new MemoryEnd(chunkBytes)
  const far = new MemoryEnd(chunkBytes)
  near.far = far
  far.far = near
  return [near, far]
}

const connectionReset = () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })

class MemoryEnd extends Duplex {
  far: MemoryEnd | undefined
  readonly #chunkBytes: number
  /** The far end's write that waits until this end is read. */
  #unread: (() => void) | undefined

  constructor(chunkBytes: number) {
    super({ allowHalfOpen: true, autoDestroy: true })
    this.#chunkBytes = chunkBytes
  }

  /** Both directions end abruptly; the far end sees ECONNRESET. */
  reset(): void {
    this.far?.destroy(connectionReset())
    this.destroy()
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void): void {
    const far = this.far
    if (far === undefined || far.destroyed || far.readableEnded) return callback(connectionReset())
    far.#receive(Buffer.from(chunk), this.#chunkBytes, callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.far?.destroyed === false) this.far.push(null)
    callback()
  }

  override _read(): void {
    const unread = this.#unread
    this.#unread = undefined
    unread?.()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const far = this.far
    // As a closed socket does: the far end reads an end, and what it still writes fails.
    if (error === null && far !== undefined && !far.destroyed && !this.writableFinished) far.push(null)
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
