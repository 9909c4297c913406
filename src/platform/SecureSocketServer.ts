// A SocketServer of @effect/platform over the channel: handlers get sockets of authenticated peers.
import * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import { isVanished } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/HandshakeKeys.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Padding } from "../channel/Padding.ts"
import {
  budgetKey,
  PeerBudgets,
  peerLimits,
  type PeerLimitOptions,
  type PeerPlace,
  type SessionMemory
} from "../services/PeerBudgets.ts"
import { RefusedByRules, type PeerSessions, type PeerSession } from "../services/PeerSessions.ts"
import type { Accepted, ListenOptions } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import { setPeer, peerOfChannel } from "./Peer.ts"
import * as SecureSocket from "./SecureSocket.ts"

/** Options of a socket server. */
export interface Options
  extends
    Pick<ListenOptions, "connections">,
    Pick<PeerLimitOptions, "peerConnections" | "peerMemory"> {
  readonly address: Address
  readonly keys: Omit<ServerKeys, "application">
  /** The application protocol; must be equal on both sides. Default: "sealwire/socket/1". */
  readonly application?: string
  readonly padding?: Padding
  /** The peers that may connect. A peer that is removed while it is connected is reset. */
  readonly peers?: PeerSessions
}

type Shape = Context.Tag.Service<typeof SocketServer.SocketServer>

/**
 * Makes a server that listens until its scope closes.
 *
 * - Until the first `run`, connections wait for their handshake, within the limits in number and
 *   time of unauthenticated connections.
 * - Of several concurrent runs the latest gets new connections; after its end the one before it
 *   does.
 * - `peerOf(socket)` returns the peer of a socket.
 * - A handler that fails is logged, at Debug if its peer has vanished, and its connection is reset;
 *   the others go on. When `run` is
 *   interrupted, its handlers are interrupted too, and their channels close with GoingAway.
 * - One peer has at most `peerConnections` connections; further ones are closed as Refused.
 * - A stalled peer delays neither the other peers nor the end of the server.
 *
 * Errors: `SocketServerError` with reason "Open", whose cause is `PortInUse` or `ListenFailed`.
 */
export const make = ({
  address,
  keys,
  application = SecureSocket.application,
  padding,
  peers,
  connections,
  peerConnections,
  peerMemory
}: Options): Effect.Effect<Shape, SocketServer.SocketServerError, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const budgets = new PeerBudgets()
    let serve: Serve = () => Effect.void
    /** The active runs, the latest last. */
    const runs = new Set<Serve>()
    const ready = Effect.unsafeMakeLatch()
    const accept = (connection: Accepted) =>
      Effect.gen(function* () {
        let place: PeerPlace | undefined
        // Before the channel's finalizer, which waits for the peer.
        yield* Effect.addFinalizer(() => Effect.sync(() => place?.leave()))
        yield* Effect.raceFirst(ready.await, Effect.zipRight(connection.draining, Effect.interrupt))
        const channel = yield* Channel.accept(
          connection,
          { ...keys, application },
          padding === undefined ? {} : { padding }
        )
        const { publicKey, peerAddress: from } = channel
        const key = budgetKey({ peer: channel.peer, from })
        const options = { connections, peerConnections, peerMemory, peers }
        const most = peerLimits(publicKey, options)
        const holder = { probe: channel.probe, reset: () => connection.flow.reset() }
        place = budgets.enter(key, most, holder)
        // It may have lost an earlier connection, which nobody has noticed.
        if (place.state === "refused" && (yield* budgets.dropDead(key))) {
          place.leave()
          place = budgets.enter(key, most, holder)
        }
        if (place.state === "ignored") return yield* connection.abort
        if (place.state === "refused") return yield* channel.setCloseReason("Refused")
        const session = yield* enterSession(channel, connection, peers)
        yield* Effect.ensuring(
          serve(channel, connection, session, place.memory),
          Effect.sync(() => session?.close())
        )
      }).pipe(
        Effect.catchTags({
          HandshakeFailed: ({ message }) => Effect.logDebug(message),
          RefusedByRules: ({ message }) => Effect.logDebug(message)
        })
      )
    const listener = yield* transport
      .listen(address, accept, {
        halfOpen: channelLimits.halfOpen,
        halfOpenPerSource: channelLimits.halfOpenPerSource,
        ...(connections === undefined ? {} : { connections })
      })
      .pipe(
        Effect.mapError((cause) => new SocketServer.SocketServerError({ reason: "Open", cause }))
      )

    return SocketServer.SocketServer.of({
      address: addressOf(listener.address),
      run: <R, E, A>(handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>) =>
        Effect.gen(function* () {
          const context = yield* Effect.context<R>()
          const stopped = yield* Deferred.make<void>()
          const current: Serve = (channel, connection, session, memory) =>
            Effect.suspend(() =>
              handler(
                setPeer(
                  SecureSocket.fromChannel(channel),
                  peerOfChannel(channel, () => session?.rules()),
                  memory
                )
              )
            ).pipe(
              Effect.provide(context),
              Effect.asVoid,
              Effect.raceFirst(
                Effect.zipRight(Deferred.await(stopped), channel.setCloseReason("GoingAway"))
              ),
              Effect.catchAllCause((cause) =>
                Effect.zipRight(connection.abort, logFailure(channel.peer, cause))
              )
            )
          serve = current
          runs.add(current)
          ready.unsafeOpen()
          return yield* Effect.ensuring(
            Effect.never,
            Effect.suspend(() => {
              runs.delete(current)
              serve = [...runs].at(-1) ?? serve
              if (runs.size === 0) ready.unsafeClose()
              return Deferred.succeed(stopped, undefined)
            })
          )
        })
    })
  })

type Serve = (
  channel: Channel.Channel,
  connection: Accepted,
  session: PeerSession | undefined,
  memory: SessionMemory
) => Effect.Effect<void>

/**
 * Provides the server of `make`.
 *
 * @example
 * const server = RpcServer.layerProtocolSocketServer.pipe(
 *   Layer.provide(SecureSocketServer.layer({ address: tcp("127.0.0.1", 8080), keys }))
 * )
 */
export const layer = (
  options: Options
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Transport> =>
  Layer.scoped(SocketServer.SocketServer, make(options))

/** Logs the failure of a handler: for debugging only if its peer has vanished. */
const logFailure = (peer: string, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const isPeers =
    Option.isNone(Cause.keepDefects(cause)) &&
    Chunk.every(
      Cause.failures(cause),
      (error) => Socket.isSocketError(error) && isVanished(error.cause)
    )
  return (isPeers ? Effect.logDebug : Effect.logError)(`the handler of ${peer} failed`, cause)
}

/** Starts the peer's session. Its connection is reset when the peer is removed from the list. */
const enterSession = (
  { publicKey, peerAddress }: Channel.Channel,
  { flow }: Accepted,
  peers: PeerSessions | undefined
) => {
  if (peers === undefined || publicKey === undefined) return Effect.succeed(undefined)
  const session = peers.open(publicKey, peerAddress, undefined, () => flow.reset())
  return session instanceof RefusedByRules ? Effect.fail(session) : Effect.succeed(session)
}

const addressOf = (address: Address): SocketServer.Address =>
  address._tag === "Tcp"
    ? { _tag: "TcpAddress", hostname: address.host, port: address.port }
    : { _tag: "UnixAddress", path: address._tag === "Unix" ? address.path : "" }
