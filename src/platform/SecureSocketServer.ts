// @effect/platform's SocketServer over the channel: its handlers get sockets of peers whose key is known.
import type { Socket } from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import type { ServerKeys } from "../channel/Handshake.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Padding } from "../channel/Padding.ts"
import { RefusedByRules, type PeerSessions, type PeerSession } from "../services/PeerSessions.ts"
import type { Accepted, ListenOptions } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import { introduce, peerOfChannel } from "./Peer.ts"
import * as SecureSocket from "./SecureSocket.ts"

/** Where it listens, and who is let in. */
export interface Options extends Pick<ListenOptions, "connections"> {
  readonly address: Address
  readonly keys: Omit<ServerKeys, "application">
  /** The application protocol of the prologue, the same on both sides. Default: "sealwire/socket/1". */
  readonly application?: string
  readonly padding?: Padding
  /** Who may come in, while that may change: a peer that is taken out of it is cut off. */
  readonly peers?: PeerSessions
}

type Shape = Context.Tag.Service<typeof SocketServer.SocketServer>

/**
 * A server that listens as long as the scope is open.
 *
 * - Until a `run` is there newcomers wait as strangers, who are bounded in number and time.
 * - Of several runs at once the latest gets the newcomers; when it ends, the one before it does.
 * - `peerOf(socket)` says who a socket's peer is.
 * - A handler that fails cuts its own connection and is logged; the others go on. When `run` is interrupted its handlers are, and their peers are told
 *   that the server goes.
 * - A peer that stalls holds up nothing: neither the others, nor the end.
 *
 * Errors: `SocketServerError` with reason "Open", whose cause is `PortInUse` or `ListenFailed`.
 */
export const make = ({
  address,
  keys,
  application = SecureSocket.application,
  padding,
  peers,
  connections
}: Options): Effect.Effect<Shape, SocketServer.SocketServerError, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    let serve: Serve = () => Effect.void
    /** Those that go on, the latest last: it gets the newcomers. */
    const runs = new Set<Serve>()
    const ready = Effect.unsafeMakeLatch()
    const attend = (connection: Accepted) =>
      Effect.gen(function* () {
        yield* Effect.raceFirst(ready.await, Effect.zipRight(connection.draining, Effect.interrupt))
        const channel = yield* Channel.accept(
          connection,
          { ...keys, application },
          padding === undefined ? {} : { padding }
        )
        const seat = yield* seatOf(channel, connection, peers)
        yield* Effect.ensuring(
          serve(channel, connection, seat),
          Effect.sync(() => seat?.leave())
        )
      }).pipe(
        Effect.catchTags({
          HandshakeFailed: ({ message }) => Effect.logDebug(message),
          RefusedByRules: ({ message }) => Effect.logDebug(message)
        })
      )
    const listener = yield* transport
      .listen(address, attend, {
        halfOpen: channelLimits.halfOpen,
        halfOpenPerSource: channelLimits.halfOpenPerSource,
        ...(connections === undefined ? {} : { connections })
      })
      .pipe(
        Effect.mapError((cause) => new SocketServer.SocketServerError({ reason: "Open", cause }))
      )

    return SocketServer.SocketServer.of({
      address: addressOf(listener.address),
      run: <R, E, A>(handler: (socket: Socket) => Effect.Effect<A, E, R>) =>
        Effect.gen(function* () {
          const context = yield* Effect.context<R>()
          const stopped = yield* Deferred.make<void>()
          const ours: Serve = (channel, connection, seat) =>
            Effect.suspend(() =>
              handler(
                introduce(
                  SecureSocket.fromChannel(channel),
                  peerOfChannel(channel, () => seat?.rules())
                )
              )
            ).pipe(
              Effect.provide(context),
              Effect.asVoid,
              Effect.raceFirst(
                Effect.zipRight(Deferred.await(stopped), channel.setCloseReason("GoingAway"))
              ),
              Effect.catchAllCause((cause) =>
                Effect.zipRight(
                  connection.abort,
                  Effect.logError(`${channel.peer}: its handler failed`, cause)
                )
              )
            )
          serve = ours
          runs.add(ours)
          ready.unsafeOpen()
          return yield* Effect.ensuring(
            Effect.never,
            Effect.suspend(() => {
              runs.delete(ours)
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
  seat: PeerSession | undefined
) => Effect.Effect<void>

/**
 * @example
 * const server = RpcServer.layerProtocolSocketServer.pipe(Layer.provide(SecureSocketServer.layer({ address: tcp("127.0.0.1", 8080), keys })))
 */
export const layer = (
  options: Options
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError, Transport> =>
  Layer.scoped(SocketServer.SocketServer, make(options))

/** The peer's session in the peer list, which cuts it off when it is taken out. */
const seatOf = (
  { publicKey, peerAddress }: Channel.Channel,
  { flow }: Accepted,
  peers: PeerSessions | undefined
) => {
  if (peers === undefined || publicKey === undefined) return Effect.succeed(undefined)
  const seat = peers.enter(publicKey, peerAddress, undefined, flow.reset)
  return seat instanceof RefusedByRules ? Effect.fail(seat) : Effect.succeed(seat)
}

const addressOf = (address: Address): SocketServer.Address =>
  address._tag === "Tcp"
    ? { _tag: "TcpAddress", hostname: address.host, port: address.port }
    : { _tag: "UnixAddress", path: address._tag === "Unix" ? address.path : "" }
