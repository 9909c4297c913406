// Serves clients over the channel: accept -> handshake -> limits of the peer -> session.
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Channel from "../channel/Channel.ts"
import type { ServerKeys } from "../channel/HandshakeKeys.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Padding } from "../channel/Padding.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Timers } from "../transports/Timers.ts"
import { Transport } from "../transports/Transport.ts"
import type { ListenFailed, PortInUse } from "../transports/TransportErrors.ts"
import { limits } from "./limits.ts"
import { metrics } from "./Metrics.ts"
import {
  budgetKey,
  peerLimits,
  PeerBudgets,
  type PeerLimitOptions,
  type PeerLimits,
  type PeerPlace
} from "./PeerBudgets.ts"
import type { PeerSessions } from "./PeerSessions.ts"
import { ServerEvent } from "./ServerEvent.ts"
import { complete, type Keys, type ServerKeysInvalid } from "./ServerKeys.ts"
import * as ServerSession from "./ServerSession.ts"
import {
  application,
  type Counters,
  type RemotePeer,
  type Service,
  type SessionFailure
} from "./Service.ts"

export { ServerEvent } from "./ServerEvent.ts"
export {
  identity,
  ServerKeysInvalid,
  sharedKey,
  withSharedKey,
  type Identity,
  type Keys
} from "./ServerKeys.ts"

/** The address, keys and services of a server. */
export interface ServeOptions<
  Services extends ReadonlyArray<Service.Any> = ReadonlyArray<Service<SessionFailure>>,
  E = never,
  R = never
> extends Pick<PeerLimitOptions, "peerConnections" | "peerMemory"> {
  readonly address: Address
  /** The keys, or an effect that loads them: `Server.sharedKey`, `Server.identity(…)`. */
  readonly keys: Keys<R> | Effect.Effect<Keys<R>, E, R>
  readonly padding?: Padding
  /** Maximum number of connections. Default: as many as the file descriptors allow. */
  readonly connections?: number
  /**
   * The authorized clients with their rules, which may change. Default: `keys` authorizes, without
   * rules.
   */
  readonly peers?: PeerSessions
  /** The services; the opening of a client selects one by name. */
  readonly services: Services
  /** Receives every event, from many sessions at once. Default: nobody does. */
  readonly on?: (
    event: ServerEvent<Service.Error<Services[number]>>
  ) => Effect.Effect<void, never, R>
}

/** A session that a server runs. */
export interface OpenSession {
  readonly sender: RemotePeer
  readonly service: string
  /** Changes while the session goes on. */
  readonly counted: Readonly<Counters>
}

/** A server that is listening. */
export interface Server {
  /** The address to connect to: with port 0, the port that it got. */
  readonly address: Address
  /** The sessions that are open now. */
  readonly sessions: Effect.Effect<ReadonlyArray<OpenSession>>
  /**
   * The events from now on. A reader that is behind by `limits.pendingEvents` loses the oldest: a
   * slow reader must not delay the sessions.
   */
  readonly events: Stream.Stream<ServerEvent>
  /** The number of connections whose handshake is not complete. */
  readonly halfOpen: Effect.Effect<number>
}

/** A server that is listening, as a service: `Server.layer` provides it. */
export const Server: Context.Tag<Server, Server> = Context.GenericTag<Server>(
  "sealwire/services/Server"
)

/** The requirements of a server: those of its keys and events, and those of its services. */
type Requirements<Services extends ReadonlyArray<Service.Any>, R> =
  | R
  | Exclude<Service.Context<Services[number]>, Scope.Scope>

/** The same services, each with the errors and requirements of all. */
type UnionOf<Services extends ReadonlyArray<Service.Any>, R> = ReadonlyArray<
  Service<Service.Error<Services[number]>, Requirements<Services, R>>
>

/**
 * Starts a server. It listens when this returns, until the scope closes; open sessions then have
 * the transport's drain deadline to finish. Fails with `ServerKeysInvalid` before it listens, and
 * with `PortInUse` or `ListenFailed`.
 *
 * @example
 * const { address } = yield* Server.listen({
 *   address: Address.tcp("127.0.0.1", 0),
 *   keys: Server.sharedKey,
 *   services: [MessageService.service((messages) => Effect.log(messages.length))]
 * })
 */
export const listen = <const Services extends ReadonlyArray<Service.Any>, E = never, R = never>(
  options: ServeOptions<Services, E, R>
): Effect.Effect<
  Server,
  PortInUse | ListenFailed | ServerKeysInvalid | E,
  Requirements<Services, R> | Transport | Scope.Scope
> => {
  const services: ReadonlyArray<Service.Any> = options.services
  return listenTo<Service.Error<Services[number]>, E, Requirements<Services, R>>({
    ...options,
    // The union of the services' types, which TypeScript does not infer for an array.
    services: services as UnionOf<Services, R>
  })
}

/**
 * Provides a server that listens once the layer is built.
 *
 * @example
 * const ServerLive = Server.layer({ address, keys: Server.sharedKey, services }).pipe(
 *   Layer.provide([KeyStore.layerFile("./sealwire.key"), Transport.layerNet])
 * )
 */
export const layer = <const Services extends ReadonlyArray<Service.Any>, E = never, R = never>(
  options: ServeOptions<Services, E, R>
): Layer.Layer<
  Server,
  PortInUse | ListenFailed | ServerKeysInvalid | E,
  Exclude<Requirements<Services, R> | Transport, Scope.Scope>
> => Layer.scoped(Server, listen(options))

/** Serves until interrupted: `listen` for a program that does nothing else. */
export const serve = <const Services extends ReadonlyArray<Service.Any>, E = never, R = never>(
  options: ServeOptions<Services, E, R>
): Effect.Effect<
  never,
  PortInUse | ListenFailed | ServerKeysInvalid | E,
  Exclude<Requirements<Services, R> | Transport, Scope.Scope>
> => Effect.scoped(Effect.zipRight(listen(options), Effect.never))

const listenTo = <ES extends SessionFailure, E, R>(
  options: ServeOptions<ReadonlyArray<Service<ES, R>>, E, R>
): Effect.Effect<
  Server,
  PortInUse | ListenFailed | ServerKeysInvalid | E,
  R | Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const keys = yield* complete(Effect.isEffect(options.keys) ? yield* options.keys : options.keys)
    const timers = yield* Timers.current
    const { report, sessions, events } = observed(options.on)
    const identities = () =>
      keys.identities.filter(({ retires = Infinity }) => timers.now < retires)
    const serving: Serving<ES, R> = {
      limits: options,
      padding: options.padding,
      budgets: new PeerBudgets(),
      session: { services: options.services, peers: options.peers, identities, report },
      keys: {
        ...keys,
        application,
        // Read when message 1 has arrived: a key that has retired meanwhile does not decrypt it.
        get identities() {
          return identities()
        }
      }
    }
    const handler = yield* Channel.handler((connection) => acceptanceOf(connection, serving))
    const listener = yield* transport.listen(options.address, handler, {
      ...(options.connections === undefined ? {} : { connections: options.connections }),
      halfOpen: channelLimits.halfOpen,
      halfOpenPerSource: channelLimits.halfOpenPerSource
    })
    yield* report(ServerEvent.Listening(listener))
    // Before the listener's finalizer, which waits for open sessions.
    const context = yield* Effect.context<R>()
    yield* Effect.addFinalizer(() => Effect.provide(report(ServerEvent.Stopping()), context))
    return { address: listener.address, sessions, events, halfOpen: Effect.sync(listener.halfOpen) }
  })

/** Passes each event to `on` and to the readers of `events`, and keeps the list of open sessions. */
const observed = <E, R>(
  on: ((event: ServerEvent<E>) => Effect.Effect<void, never, R>) | undefined
) => {
  const open = new Map<Readonly<Counters>, OpenSession>()
  let hub: PubSub.PubSub<ServerEvent<E>> | undefined
  const record = (event: ServerEvent<E>) => {
    if (event._tag === "SessionStarted") open.set(event.counted, event)
    if (event._tag === "SessionEnded") open.delete(event.counted)
  }
  return {
    report: (event: ServerEvent<E>): Effect.Effect<void, never, R> =>
      Effect.suspend(() => {
        record(event)
        const reported = on?.(event) ?? Effect.void
        return hub === undefined ? reported : Effect.zipRight(PubSub.publish(hub, event), reported)
      }),
    sessions: Effect.sync(() => [...open.values()]),
    events: Stream.unwrap(
      Effect.sync(() => {
        // Made for the first reader: a server without one pays nothing.
        hub ??= Effect.runSync(PubSub.sliding<ServerEvent<E>>(limits.pendingEvents))
        return Stream.fromPubSub(hub)
      })
    )
  }
}

/** The state that all connections of a server share. */
interface Serving<E, R> {
  readonly limits: PeerLimitOptions
  readonly padding: Padding | undefined
  readonly budgets: PeerBudgets
  readonly session: ServerSession.SessionOptions<E, R>
  readonly keys: ServerKeys
}

const acceptanceOf = <E extends SessionFailure, R>(
  connection: Accepted,
  { limits: limitOptions, padding, budgets, session, keys }: Serving<E, R>
): Channel.Acceptance<R> => {
  let place: PeerPlace | undefined
  const acceptedAt = performance.now()
  metrics.halfOpen.add(1)
  return {
    keys,
    ...(padding === undefined ? {} : { padding }),
    settled: () => metrics.halfOpen.add(-1),
    opened: (channel) => {
      metrics.handshake.observe((performance.now() - acceptedAt) / 1000)
      const { peer, peerAddress: from, publicKey } = channel
      const most = peerLimits(publicKey, limitOptions)
      const key = budgetKey({ peer, from })
      const holder = { probe: channel.probe, reset: () => connection.flow.reset() }
      const enter = () => (place = budgets.enter(key, most, holder))
      const use = (entered: PeerPlace) =>
        entered.state === "entered"
          ? ServerSession.run(channel, connection, session, entered.memory)
          : refuseChannel(channel, connection, session.report, most, entered)
      const first = enter()
      if (first.state !== "refused") return use(first)
      // It may have lost an earlier connection, which nobody has noticed.
      return Effect.flatMap(budgets.dropDead(key), (hasDropped) => {
        if (!hasDropped) return use(first)
        first.leave()
        return use(enter())
      })
    },
    // Closing waits for the peer, whose connection counts until then.
    closed: () => place?.leave(),
    refused: ({ peer: from, reason, publicKey, isSilent }) => {
      metrics.connectionsRefused.add(1)
      return session.report(ServerEvent.ConnectionRefused({ from, reason, publicKey, isSilent }))
    }
  }
}

/** Refuses the channel of a peer that has too many connections. */
const refuseChannel = <E, R>(
  { peer, peerAddress: from, publicKey, setCloseReason }: Channel.Channel,
  { abort }: Accepted,
  report: ServerSession.SessionOptions<E, R>["report"],
  { connections }: PeerLimits,
  { state }: PeerPlace
): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    metrics.connectionsRefused.add(1)
    const reason = `${peer === from ? "it" : peer} already has as many connections as one peer may have: ${connections()}`
    return Effect.zipRight(
      report(ServerEvent.ConnectionRefused({ from, reason, publicKey })),
      state === "refused" ? setCloseReason("Refused") : abort
    )
  })
