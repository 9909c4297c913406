// A Transport over the Socket and the SocketServer of @effect/platform: NodeSocket, WebSocket, or
// whatever else a runtime offers.
import * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import {
  acceptor,
  type Acceptor,
  type Handler,
  type ListenOptions
} from "../transports/Acceptor.ts"
import { format, tcp, unix, type Address } from "../transports/Address.ts"
import { fromWire, type Connection, type Wire } from "../transports/Connection.ts"
import { asyncAtMost } from "../transports/Deadline.ts"
import { limits } from "../transports/limits.ts"
import { connectFailed } from "../transports/Net.ts"
import { Transport } from "../transports/Transport.ts"
import { ListenFailed, PortInUse, type ConnectFailed } from "../transports/TransportErrors.ts"
import { SocketDuplex, type RawSocket } from "./SocketDuplex.ts"

type Server = typeof SocketServer.SocketServer.Service

/** The sockets of a transport. */
export interface Options {
  /** Makes the socket of a new connection, which is run once. Default: `connect` fails. */
  readonly connect?: (
    address: Address
  ) => Effect.Effect<Socket.Socket, Socket.SocketError, Scope.Scope>
  /** Makes the server of a listener. Default: `listen` fails. */
  readonly listen?: (
    address: Address
  ) => Effect.Effect<Server, SocketServer.SocketServerError, Scope.Scope>
  /**
   * True for WebSockets, which end by a CloseEvent. Default: as the context of the socket's handlers
   * tells, which on a client is not known before the first bytes have arrived.
   */
  readonly webSocket?: boolean
}

/**
 * Makes a transport of sockets and socket servers of @effect/platform. It keeps the laws of a
 * transport that such sockets can keep; these limits are theirs:
 *
 * - The end of one direction ends both: no more can be written once the peer has ended its stream.
 * - There is no reset: an aborted connection looks like an end. A channel tells the two apart.
 * - What the program has not read is limited where the socket waits for its handler, or can be paused
 *   as those of @effect/platform-node can; other sockets hold it in memory.
 * - A listener that closes accepts new connections until its handlers are done, and resets them.
 */
export const make = ({ connect, listen, webSocket }: Options): Transport.Shape => ({
  connect: (address) =>
    connect === undefined
      ? connectFailed(address, "EOPNOTSUPP")
      : connectTo(
          address,
          Effect.map(connect(address), (socket) => ({ socket })),
          webSocket
        ),
  listen: (address, handler, options) =>
    listen === undefined
      ? new ListenFailed({ address: format(address), detail: "this transport only connects" })
      : listenTo(address, listen(address), handler, options, webSocket)
})

/**
 * Provides a transport that connects by WebSockets, each connection by one of its own.
 *
 * @example
 * const client = MessageClient.layer({ address, keys: Credentials.sharedKey }).pipe(
 *   Layer.provide(SocketTransport.layerWebSocket(() => "wss://relay.example/sealwire")),
 *   Layer.provide(NodeSocket.layerWebSocketConstructor)
 * )
 */
export const layerWebSocket = (
  urlOf: (address: Address) => string
): Layer.Layer<Transport, never, Socket.WebSocketConstructor> =>
  Layer.effect(
    Transport,
    Effect.map(Socket.WebSocketConstructor, (open) => ({
      ...make({}),
      connect: (address) =>
        connectTo(
          address,
          Effect.suspend(() => openWebSocket(() => open(urlOf(address)))),
          true
        )
    }))
  )

const openWebSocket = (open: () => WebSocket): Effect.Effect<Opened> => {
  let raw: WebSocket | undefined
  const acquire = Effect.acquireRelease(
    Effect.sync(() => {
      raw = open()
      // A Blob is read asynchronously: messages could change places.
      raw.binaryType = "arraybuffer"
      return raw
    }),
    (opened) => Effect.sync(() => opened.close(1000))
  )
  return Effect.map(Socket.fromWebSocket(acquire), (socket) => ({
    socket,
    raw: () => raw as RawSocket | undefined
  }))
}

/**
 * Provides a transport that connects over the `Socket` of the context, to whatever that reaches: the
 * address is a name in messages only. One connection at a time, because a Socket has one writer.
 *
 * @example
 * const client = MessageClient.layer({ address, keys: Credentials.sharedKey }).pipe(
 *   Layer.provide(SocketTransport.layerSocket()),
 *   Layer.provide(NodeSocket.layerWebSocket("wss://relay.example/sealwire"))
 * )
 */
export const layerSocket = (
  options: Pick<Options, "webSocket"> = {}
): Layer.Layer<Transport, never, Socket.Socket> =>
  Layer.effect(
    Transport,
    Effect.map(Socket.Socket, (socket) => {
      let isInUse = false
      const take = Effect.acquireRelease(
        Effect.suspend(() => {
          if (isInUse)
            return new Socket.SocketGenericError({
              reason: "Open",
              cause: Object.assign(new Error("the socket is in use"), { code: "EBUSY" })
            })
          isInUse = true
          return Effect.succeed(socket)
        }),
        () => Effect.sync(() => void (isInUse = false))
      )
      return make({ ...options, connect: () => take })
    })
  )

/**
 * Provides a transport that listens on the `SocketServer` of the context, which has its address
 * already: that of `listen` is not used.
 *
 * @example
 * const server = Server.layer({ address, keys: Server.sharedKey, services }).pipe(
 *   Layer.provide(SocketTransport.layerSocketServer),
 *   Layer.provide(NodeSocketServer.layerWebSocket({ port: 8080 }))
 * )
 */
export const layerSocketServer: Layer.Layer<Transport, never, SocketServer.SocketServer> =
  Layer.effect(
    Transport,
    Effect.map(SocketServer.SocketServer, (server) =>
      make({ listen: () => Effect.succeed(server) })
    )
  )

const wireOf = (stream: SocketDuplex, peer: string): Wire => {
  // Added at once: an 'error' event without a listener ends the process.
  stream.on("error", () => {})
  return { stream, peer, reset: () => stream.reset() }
}

/** A socket, and the WebSocket that it runs, where that is known. */
interface Opened {
  readonly socket: Socket.Socket
  readonly raw?: () => RawSocket | undefined
}

const connectTo = (
  address: Address,
  open: Effect.Effect<Opened, Socket.SocketError, Scope.Scope>,
  webSocket: boolean | undefined
): Effect.Effect<Connection, ConnectFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (error: unknown) => connectFailed(address, codeOf(error))
    const runtime = yield* Effect.runtime<never>()
    const { socket, raw } = yield* Effect.mapError(open, failed)
    const stream = new SocketDuplex(runtime, webSocket)
    yield* stream.attach(socket)
    const wire = wireOf(stream, format(address))
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        // The run ends with the stream, not before: its scope is that of the connection, which
        // flushes what was written.
        let fiber: Fiber.RuntimeFiber<void, Socket.SocketError> | undefined
        yield* Effect.addFinalizer(() =>
          fiber === undefined
            ? Effect.void
            : Effect.zipRight(
                Effect.sync(() => stream.destroy()),
                Effect.exit(Fiber.join(fiber))
              )
        )
        yield* restore(
          asyncAtMost<void, ConnectFailed>(
            limits.connectDeadline,
            () => connectFailed(address, "ETIMEDOUT"),
            (resume) => {
              fiber = Runtime.runFork(runtime)(
                stream.run(socket, () => {
                  const webSocket = raw?.()
                  if (webSocket !== undefined) stream.learnWebSocket(webSocket)
                  resume(Effect.void)
                })
              )
              fiber.addObserver((exit) =>
                resume(exit._tag === "Failure" ? failed(Cause.squash(exit.cause)) : Effect.void)
              )
            }
          )
        )
        return yield* fromWire(wire)
      })
    )
  })

const listenTo = <R>(
  requested: Address,
  open: Effect.Effect<Server, SocketServer.SocketServerError, Scope.Scope>,
  handler: Handler<R>,
  options: ListenOptions | undefined,
  webSocket: boolean | undefined
) =>
  Effect.gen(function* () {
    const server = yield* Effect.mapError(open, (error) => listenFailed(requested, error))
    const runtime = yield* Effect.runtime<never>()
    const ready = yield* Deferred.make<Acceptor>()
    const serve = (socket: Socket.Socket) =>
      Effect.gen(function* () {
        const { accept } = yield* Deferred.await(ready)
        const stream = new SocketDuplex(runtime, webSocket)
        stream.learn(yield* Effect.context<never>())
        yield* stream.attach(socket)
        accept(wireOf(stream, peerOf(stream.connection)))
        // A client that vanishes is no fault of this server; its session tells of it.
        yield* Effect.ignore(stream.run(socket, () => {}))
      })
    // Finalizers run in reverse order: connections drain, then the server stops, which would wait
    // for them for ever.
    const running = Effect.catchAllCause(server.run(serve), (cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.void
        : Effect.logError("the socket server failed", cause)
    )
    yield* Effect.forkScoped(running)
    const { accept, halfOpen } = yield* acceptor(handler, options)
    yield* Deferred.succeed(ready, { accept, halfOpen })
    const bound = addressOf(server.address)
    return { address: boundAs(requested, bound), boundAddress: bound, halfOpen }
  })

/** The requested address with the port that was selected. */
const boundAs = (requested: Address, bound: Address): Address =>
  requested._tag === "Tcp" && bound._tag === "Tcp" ? tcp(requested.host, bound.port) : bound

const addressOf = (address: SocketServer.Address): Address =>
  address._tag === "TcpAddress" ? tcp(unmapped(address.hostname), address.port) : unix(address.path)

const unmapped = (host: string): string => host.replace(/^::ffff:(?=\d+\.)/, "")

/** The address of a peer, where its socket tells one. */
const peerOf = (raw: RawSocket | undefined): string =>
  raw?.remoteAddress === undefined || raw.remotePort === undefined
    ? "socket"
    : format(tcp(unmapped(raw.remoteAddress), raw.remotePort))

/** The code of the system that is somewhere in the causes of an error. */
const codeOf = (error: unknown): string => {
  if (!Predicate.isRecord(error)) return "UNKNOWN"
  if (typeof error["code"] === "string") return error["code"]
  return codeOf(error["cause"] ?? error["error"])
}

const listenFailed = (
  address: Address,
  error: SocketServer.SocketServerError
): PortInUse | ListenFailed => {
  const code = codeOf(error)
  return code === "EADDRINUSE"
    ? new PortInUse({ address: format(address) })
    : new ListenFailed({ address: format(address), detail: code })
}
