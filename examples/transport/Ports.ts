// A custom transport: connections between threads, each a MessageChannel of node:worker_threads.
//
//   client                                          server
//   makes a MessageChannel        -- one port -->   looks for a listener at the address
//   keeps the other port          <-- accepted --   the port is the connection
//
// Afterwards both sides send: bytes, taken (the last bytes were read), end, reset.
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
  /** Time from the request to the response. */
  connectDeadline: "10 seconds",
  /** Bytes that a stream buffers before its writer waits. */
  buffered: 64 * 1024
} as const

/** A link to another thread: a `Worker`, or the `parentPort` of one. */
export type Trunk = Pick<MessagePort | Worker, "postMessage"> & {
  on(event: "message", listener: (message: unknown) => void): unknown
  off(event: "message", listener: (message: unknown) => void): unknown
}

/** Asks the other thread for a connection to the address. */
interface ConnectRequest {
  readonly sealwireConnect: string
  readonly port: MessagePort
}

const isConnectRequest = (message: unknown): message is ConnectRequest =>
  typeof message === "object" && message !== null && "sealwireConnect" in message

/**
 * Provides a transport that connects over `trunk`, and accepts over `incoming`, until its scope
 * closes.
 */
export const layer = (trunk: Trunk, incoming: Trunk = trunk): Layer.Layer<Transport> =>
  Layer.scoped(
    Transport,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const acceptors = new Map<string, Acceptor>()
          const listener = requestListener(acceptors)
          incoming.on("message", listener)
          return { acceptors, listener }
        }),
        ({ listener }) => Effect.sync(() => incoming.off("message", listener))
      ),
      ({ acceptors }) => make(trunk, acceptors)
    )
  )

const requestListener = (acceptors: ReadonlyMap<string, Acceptor>) => {
  let connections = 0
  return (message: unknown) => {
    if (!isConnectRequest(message)) return
    const acceptor = acceptors.get(message.sealwireConnect)
    message.port.postMessage(acceptor === undefined ? "refused" : "accepted")
    if (acceptor === undefined) message.port.close()
    else acceptor.accept(wireOf(message.port, `thread:${++connections}`))
  }
}

const make = (trunk: Trunk, acceptors: Map<string, Acceptor>): Transport.Shape => {
  let lastPort = 0
  return {
    connect: (address) => {
      const text = Address.format(address)
      const failed = (reason: "refused" | "timeout") =>
        new ConnectFailed({ address: text, reason, code: reason })
      return Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const { port1, port2 } = new MessageChannel()
          const request: ConnectRequest = { sealwireConnect: text, port: port2 }
          trunk.postMessage(request, [port2])
          const response = Effect.async<string>((resume) => {
            port1.once("message", (message: string) => resume(Effect.succeed(message)))
          }).pipe(
            Effect.timeoutFail({
              duration: limits.connectDeadline,
              onTimeout: () => failed("timeout")
            })
          )
          const accepted = yield* Effect.onError(restore(response), () =>
            Effect.sync(() => port1.close())
          )
          if (accepted === "accepted") return yield* fromWire(wireOf(port1, text))
          port1.close()
          return yield* failed("refused")
        })
      )
    },
    listen: (requested, handler, options) =>
      Effect.gen(function* () {
        const address =
          requested._tag === "Tcp" && requested.port === 0
            ? Address.tcp(requested.host, ++lastPort)
            : requested
        const text = Address.format(address)
        if (acceptors.has(text)) return yield* new PortInUse({ address: text })
        // Released in reverse order: first no new connections, then the open ones drain.
        const accepting = yield* acceptor(handler, options)
        yield* Effect.acquireRelease(
          Effect.sync(() => acceptors.set(text, accepting)),
          () => Effect.sync(() => acceptors.delete(text))
        )
        return { address, boundAddress: address, halfOpen: accepting.halfOpen }
      })
  }
}

const wireOf = (port: MessagePort, peer: string): Wire => {
  const stream = new PortStream(port)
  // At once: an 'error' without a listener ends the process.
  stream.on("error", () => {})
  return { stream, peer, reset: () => stream.reset() }
}

const connectionReset = () =>
  Object.assign(new Error("reset by the other thread"), { code: "ECONNRESET" })

/** One end of a connection, which behaves like a socket: half-close, back-pressure, reset. */
class PortStream extends Duplex {
  readonly #port: MessagePort
  /** Callback of the write that the other end has not read yet. */
  #pendingWrite: ((error?: Error) => void) | undefined
  /** The other end waits for `taken`, which is sent when this end is read. */
  #owesTaken = false
  /** The other end has ended its stream. */
  #hasEnded = false
  #isClosed = false

  constructor(port: MessagePort) {
    super({ allowHalfOpen: true, highWaterMark: limits.buffered })
    this.#port = port
    port.on("message", (message: Uint8Array | string) =>
      typeof message === "string" ? this.#signals[message]?.() : this.#receive(message)
    )
    port.on("close", () => this.#portClosed())
  }

  /** Resets the connection: the other end gets an error. */
  reset(): void {
    if (!this.#isClosed) this.#port.postMessage("reset")
    this.destroy()
  }

  readonly #signals: Readonly<Record<string, () => void>> = {
    taken: () => this.#settle(),
    end: () => {
      this.#hasEnded = true
      this.push(null)
    },
    reset: () => this.destroy(connectionReset())
  }

  #receive(bytes: Uint8Array): void {
    // A port delivers a plain Uint8Array.
    if (this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)))
      this.#port.postMessage("taken")
    else this.#owesTaken = true
  }

  #settle(error?: Error): void {
    const written = this.#pendingWrite
    this.#pendingWrite = undefined
    written?.(error)
  }

  /** The other end is closed or its thread has died. A stream that had ended can still be read. */
  #portClosed(): void {
    this.#isClosed = true
    if (this.#hasEnded) this.#settle(connectionReset())
    else this.destroy(connectionReset())
  }

  override _read(): void {
    if (this.#owesTaken) this.#port.postMessage("taken")
    this.#owesTaken = false
  }

  override _write(chunk: Uint8Array, _encoding: string, written: (error?: Error) => void): void {
    if (this.#isClosed) return written(connectionReset())
    this.#pendingWrite = written
    // Copied, because the memory of a chunk may be shared.
    this.#port.postMessage(new Uint8Array(chunk))
  }

  override _final(done: () => void): void {
    if (!this.#isClosed) this.#port.postMessage("end")
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // As with a closed socket: the other end reads an end of stream, and its writes fail.
    if (error === null && !this.#isClosed && !this.writableEnded) this.#port.postMessage("end")
    this.#port.close()
    this.#settle(error ?? undefined)
    done(error)
  }
}
