// A transport of one's own: connections between threads, each a MessageChannel of node:worker_threads.
//
//   who connects                                    who listens
//   a channel; one of its ports   -- trunk --->     is there a door with that address?
//   the other:                    <-- welcome --    yes: the port is a connection
//
// From then on both say: bytes, taken (the bytes before were read), end, reset.
import { Duplex } from "node:stream"
import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  acceptor,
  Address,
  ConnectFailed,
  fromWire,
  PortInUse,
  Transport,
  type Acceptor,
  type Wire
} from "sealwire"

export const limits = {
  /** From the call to the welcome. */
  connectDeadline: "10 seconds",
  /** Bytes that a stream takes before its writer waits. */
  buffered: 64 * 1024
} as const

/** What goes over the trunk to another thread: a `Worker`, or the `parentPort` of one. */
export type Trunk = Pick<MessagePort | Worker, "postMessage"> & {
  on(event: "message", heard: (call: unknown) => void): unknown
  off(event: "message", heard: (call: unknown) => void): unknown
}

interface Call {
  readonly sealwireCall: string
  readonly port: MessagePort
}

const isCall = (said: unknown): said is Call =>
  typeof said === "object" && said !== null && "sealwireCall" in said

/** Calls over a trunk, and hears the calls that come over it, or over another one, as long as the layer lives. */
export const layer = (trunk: Trunk, incoming: Trunk = trunk): Layer.Layer<Transport> =>
  Layer.scoped(
    Transport,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const doors = new Map<string, Acceptor>()
          const hear = hearing(doors)
          incoming.on("message", hear)
          return { doors, hear }
        }),
        ({ hear }) => Effect.sync(() => incoming.off("message", hear))
      ),
      ({ doors }) => make(trunk, doors)
    )
  )

const hearing = (doors: ReadonlyMap<string, Acceptor>) => {
  let callers = 0
  return (said: unknown) => {
    if (!isCall(said)) return
    const door = doors.get(said.sealwireCall)
    said.port.postMessage(door === undefined ? "nobody" : "welcome")
    if (door === undefined) said.port.close()
    else door.accept(wireOf(said.port, `thread:${++callers}`))
  }
}

const make = (trunk: Trunk, doors: Map<string, Acceptor>): Transport.Shape => {
  let places = 0
  return {
    connect: (address) => {
      const place = Address.format(address)
      const failed = (reason: "refused" | "timeout") =>
        new ConnectFailed({ address: place, reason, code: reason })
      return Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const { port1, port2 } = new MessageChannel()
          trunk.postMessage({ sealwireCall: place, port: port2 } satisfies Call, [port2])
          const answer = Effect.async<string>((resume) => {
            port1.once("message", (said: string) => resume(Effect.succeed(said)))
          }).pipe(
            Effect.timeoutFail({
              duration: limits.connectDeadline,
              onTimeout: () => failed("timeout")
            })
          )
          const said = yield* Effect.onError(restore(answer), () =>
            Effect.sync(() => port1.close())
          )
          if (said === "welcome") return yield* fromWire(wireOf(port1, place))
          port1.close()
          return yield* failed("refused")
        })
      )
    },
    listen: (asked, handler, options) =>
      Effect.gen(function* () {
        const address =
          asked._tag === "Tcp" && asked.port === 0 ? Address.tcp(asked.host, ++places) : asked
        const place = Address.format(address)
        if (doors.has(place)) return yield* new PortInUse({ address: place })
        // Closed in the reverse order: first no more newcomers, then those who are in.
        const door = yield* acceptor(handler, options)
        yield* Effect.acquireRelease(
          Effect.sync(() => doors.set(place, door)),
          () => Effect.sync(() => doors.delete(place))
        )
        return { address, boundAddress: address, halfOpen: door.halfOpen }
      })
  }
}

const wireOf = (port: MessagePort, peer: string): Wire => {
  const stream = new PortStream(port)
  // From the first moment on: an 'error' that nobody hears ends the process.
  stream.on("error", () => {})
  return { stream, peer, reset: () => stream.reset() }
}

const connectionReset = () =>
  Object.assign(new Error("the other thread reset it"), { code: "ECONNRESET" })

/** One end, with the manners of a socket: half-close, back-pressure, reset. */
class PortStream extends Duplex {
  readonly #port: MessagePort
  /** A write that the other end has not read. */
  #written: ((error?: Error) => void) | undefined
  /** The other end's write that waits until this end is read. */
  #owes = false
  /** The other end has said all. */
  #hasEnd = false
  #isGone = false

  constructor(port: MessagePort) {
    super({ allowHalfOpen: true, highWaterMark: limits.buffered })
    this.#port = port
    port.on("message", (said: Uint8Array | string) =>
      typeof said === "string" ? this.#hear[said]?.() : this.#receive(said)
    )
    port.on("close", () => this.#gone())
  }

  /** The other end sees a reset. */
  reset(): void {
    if (!this.#isGone) this.#port.postMessage("reset")
    this.destroy()
  }

  readonly #hear: Readonly<Record<string, () => void>> = {
    taken: () => this.#settle(),
    end: () => {
      this.#hasEnd = true
      this.push(null)
    },
    reset: () => this.destroy(connectionReset())
  }

  #receive(bytes: Uint8Array): void {
    // What comes over a port is a plain Uint8Array.
    if (this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)))
      this.#port.postMessage("taken")
    else this.#owes = true
  }

  #settle(error?: Error): void {
    const written = this.#written
    this.#written = undefined
    written?.(error)
  }

  /** The other end is closed, or its thread has died. What came before can still be read, when it came whole. */
  #gone(): void {
    this.#isGone = true
    if (this.#hasEnd) this.#settle(connectionReset())
    else this.destroy(connectionReset())
  }

  override _read(): void {
    if (this.#owes) this.#port.postMessage("taken")
    this.#owes = false
  }

  override _write(chunk: Uint8Array, _encoding: string, written: (error?: Error) => void): void {
    if (this.#isGone) return written(connectionReset())
    this.#written = written
    // Copied: the memory of a chunk may be somebody else's, too.
    this.#port.postMessage(new Uint8Array(chunk))
  }

  override _final(done: () => void): void {
    if (!this.#isGone) this.#port.postMessage("end")
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // As a closed socket: the other end reads an end, and what it still writes fails.
    if (error === null && !this.#isGone && !this.writableEnded) this.#port.postMessage("end")
    this.#port.close()
    this.#settle(error ?? undefined)
    done(error)
  }
}
