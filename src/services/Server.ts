// Serves clients over the channel: accept -> handshake -> service -> rules -> session.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import type { ChannelError } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/Handshake.ts"
import { sharedKeyError } from "../channel/sharedKey.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import type { Padding } from "../channel/Padding.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Timers } from "../transports/Timers.ts"
import { Transport } from "../transports/Transport.ts"
import type { ListenFailed, PortInUse } from "../transports/TransportErrors.ts"
import * as KeyAnnouncement from "./KeyAnnouncement.ts"
import { metrics } from "./Metrics.ts"
import {
  budgetKey,
  peerLimits,
  PeerBudgets,
  type PeerLimits,
  type PeerPlace,
  type PeerLimitOptions
} from "./PeerBudgets.ts"
import { RefusedByRules, type PeerSessions, type PeerSession } from "./PeerSessions.ts"
import {
  application,
  NotServed,
  parseOpening,
  type Counters,
  type RemotePeer,
  type Service,
  type SessionError
} from "./Service.ts"
import { spanned } from "./Tracing.ts"

/** An event of a server. */
export type ServerEvent = Data.TaggedEnum<{
  Listening: {
    readonly address: Address
    /** Returns the number of connections whose handshake is not complete. */
    readonly halfOpen: () => number
  }
  /** The server accepts no more connections, and waits for open sessions. */
  Stopping: {}
  /** `counted` is live: it changes while the session goes on. */
  SessionStarted: {
    readonly sender: RemotePeer
    readonly service: string
    readonly counted: Readonly<Counters>
  }
  SessionEnded: {
    readonly sender: RemotePeer
    readonly service: string
    readonly counted: Readonly<Counters>
    readonly error: SessionError | undefined
  }
  /**
   * A connection was refused: its handshake failed, or its peer has too many. `publicKey` is the
   * client's, where it has shown one. `isSilent`: it closed without having sent a byte.
   */
  ConnectionRefused: {
    readonly from: string
    readonly reason: string
    readonly publicKey?: Uint8Array | undefined
    readonly isSilent?: boolean
  }
}>
/** The constructors and `$match`. */
export const ServerEvent: Data.TaggedEnum.Constructor<ServerEvent> = Data.taggedEnum<ServerEvent>()

/** A long-term key of this server. */
export interface Identity extends KeyPair {
  /** Time from which on the server does not use it, in milliseconds since 1970. */
  readonly retires?: number
}

/** The keys of this server, and the clients that it authorizes. */
export interface Keys extends Omit<ServerKeys, "application" | "identities"> {
  /**
   * The current identity first, then the next and the retiring ones. Clients with an identity are
   * told all of them. At most `limits.identities` of the channel.
   */
  readonly identities?: ReadonlyArray<Identity>
}

/** The address, keys and services of a server. */
export interface ServeOptions extends Pick<PeerLimitOptions, "peerConnections" | "peerMemory"> {
  readonly address: Address
  readonly keys: Keys
  readonly padding?: Padding
  /** Maximum number of connections. Default: as many as the file descriptors allow. */
  readonly connections?: number
  /**
   * The authorized clients with their rules, which may change. Default: `keys` authorizes, without
   * rules.
   */
  readonly peers?: PeerSessions
  /** The services; the opening of a client selects one by name. */
  readonly services: ReadonlyArray<Service>
  /** Receives every event, from many sessions at once. */
  readonly on: (event: ServerEvent) => Effect.Effect<void>
}

/**
 * Serves until interrupted, then lets open sessions finish within the drain deadline. Dies with a
 * TypeError, before it listens, when a shared key has not 32 bytes or is all zeros.
 */
export const serve = (
  options: ServeOptions
): Effect.Effect<never, PortInUse | ListenFailed, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    for (const { secret } of options.keys.psks ?? []) {
      const invalid = sharedKeyError(secret)
      if (invalid !== undefined) throw new TypeError(invalid)
    }
    const budgets = new PeerBudgets()
    const timers = yield* Timers.current
    const identities = () =>
      (options.keys.identities ?? []).filter(({ retires = Infinity }) => timers.now < retires)
    const shared: Shared = {
      options,
      budgets,
      identities,
      keys: {
        ...options.keys,
        application,
        // Read when message 1 has arrived: a key that has retired meanwhile does not decrypt it.
        get identities() {
          return identities()
        }
      }
    }
    const handler = yield* Channel.handler((connection) => acceptanceOf(connection, shared))
    const listener = yield* transport.listen(options.address, handler, {
      ...(options.connections === undefined ? {} : { connections: options.connections }),
      halfOpen: channelLimits.halfOpen,
      halfOpenPerSource: channelLimits.halfOpenPerSource
    })
    yield* options.on(ServerEvent.Listening(listener))
    // Before the listener's finalizer, which waits for open sessions.
    yield* Effect.addFinalizer(() => options.on(ServerEvent.Stopping()))
    return yield* Effect.never
  }).pipe(Effect.scoped)

/** The state that all connections of a server share. */
interface Shared {
  readonly options: ServeOptions
  readonly budgets: PeerBudgets
  /** The long-term keys that have not retired. */
  readonly identities: () => ReadonlyArray<Identity>
  readonly keys: ServerKeys
}

const acceptanceOf = (
  connection: Accepted,
  { options, budgets, identities, keys }: Shared
): Channel.Acceptance<never> => {
  const { padding, on } = options
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
      const most = peerLimits(publicKey, options)
      place = budgets.enter(budgetKey({ peer, from }), most)
      return place.state === "entered"
        ? serveChannel(channel, connection, options, identities, place)
        : refuseChannel(channel, connection, options, most, place)
    },
    // Closing waits for the peer, whose connection counts until then.
    closed: () => place?.leave(),
    refused: ({ peer: from, reason, publicKey, isSilent }) => {
      metrics.connectionsRefused.add(1)
      return on(ServerEvent.ConnectionRefused({ from, reason, publicKey, isSilent }))
    }
  }
}

/** Refuses the channel of a peer that has too many connections. */
const refuseChannel = (
  { peer, peerAddress: from, publicKey, setCloseReason }: Channel.Channel,
  { abort }: Accepted,
  { on }: ServeOptions,
  { connections }: PeerLimits,
  { state }: PeerPlace
): Effect.Effect<void> =>
  Effect.suspend(() => {
    metrics.connectionsRefused.add(1)
    const reason = `${peer === from ? "it" : peer} already has as many connections as one peer may have: ${connections()}`
    return Effect.zipRight(
      on(ServerEvent.ConnectionRefused({ from, reason, publicKey })),
      state === "refused" ? setCloseReason("Refused") : abort
    )
  })

/** Runs one session: selects the service, reports start and end, and closes the channel. */
const serveChannel = (
  channel: Channel.Channel,
  connection: Accepted,
  { peers, services, on }: ServeOptions,
  currentIdentities: () => ReadonlyArray<Identity>,
  { memory }: PeerPlace
) =>
  Effect.gen(function* () {
    const { peer, peerAddress, publicKey, suite, opening } = channel
    const remote: RemotePeer = { peer, from: peerAddress, publicKey, suite }
    const { name, argument } = parseOpening(opening)
    const counters: Counters = {}
    const service = services.find(
      (one) => one.name === name && (argument === "" || one.takesArgument === true)
    )
    const about = service?.about?.(argument)
    const described = {
      sender: remote,
      service: about === undefined ? name : `${name} ${about}`,
      counted: counters
    }
    yield* on(ServerEvent.SessionStarted(described))
    metrics.sessionsStarted.add(1)
    metrics.sessions.add(1)
    const reportEnd = (error: SessionError | undefined) => {
      if (error !== undefined) metrics.sessionsFailed.add(1)
      return on(ServerEvent.SessionEnded({ ...described, error }))
    }
    const session =
      service === undefined
        ? Effect.fail(new NotServed({ peer, opening }))
        : withPeerSession(channel, connection, peers, service, (peerSession) =>
            Effect.zipRight(
              announceKeys(channel, currentIdentities()),
              service.run({ channel, connection, remote, argument, counters, peerSession, memory })
            )
          )
    const traced = spanned("sealwire.session", () => ({
      kind: "server",
      trace: "own",
      attributes: {
        "sealwire.peer": peer,
        "sealwire.from": peerAddress,
        "sealwire.suite": suite,
        // The client chose the name of an unknown service; it must not reach a collector.
        ...(service === undefined ? {} : { "sealwire.service": service.name }),
        ...(about === undefined ? {} : { "sealwire.target": about })
      },
      atEnd: () =>
        Object.fromEntries(
          Object.entries(counters).map(([counter, count]) => [`sealwire.${counter}`, count])
        )
    }))
    yield* Effect.matchEffect(traced(session), {
      onSuccess: () => reportEnd(undefined),
      onFailure: (error) =>
        Effect.zipRight(reportEnd(error), closeAfter(error, channel, connection))
    }).pipe(Effect.ensuring(Effect.sync(() => metrics.sessions.add(-1))))
  })

/** Sets the code of CLOSE for an error. A client that breaks the protocol is reset instead. */
const closeAfter = (
  { _tag }: SessionError,
  channel: Channel.Channel,
  connection: Accepted
): Effect.Effect<void> =>
  _tag === "ChannelTampered"
    ? connection.abort
    : channel.setCloseReason(closeReasons.get(_tag) ?? "Failed")

const closeReasons: ReadonlyMap<string, "Refused" | "NotOffered"> = new Map([
  ["RefusedByRules", "Refused"],
  ["NotServed", "NotOffered"]
])

/**
 * Runs `use` with the client's session under the rules. If a new list ends the session, its
 * connection is reset, and `use` fails with the reason of the list.
 */
const withPeerSession = (
  { publicKey, peerAddress }: Channel.Channel,
  connection: Accepted,
  peers: PeerSessions | undefined,
  { name }: Service,
  use: (session: PeerSession | undefined) => Effect.Effect<void, SessionError, Scope.Scope>
): Effect.Effect<void, SessionError, Scope.Scope> =>
  Effect.suspend(() => {
    if (peers === undefined || publicKey === undefined) return use(undefined)
    const session = peers.open(publicKey, peerAddress, name, () => connection.flow.reset())
    if (session instanceof RefusedByRules) return Effect.fail(session)
    return use(session).pipe(
      Effect.mapError((error) => session.expelled() ?? error),
      Effect.ensuring(Effect.sync(session.close))
    )
  })

/**
 * Tells a client with an identity all keys of the server, with proofs. A single key is told too, so
 * that a key that a thief has announced before is believed no longer.
 */
const announceKeys = (
  channel: Channel.Channel,
  keys: ReadonlyArray<Identity>
): Effect.Effect<void, ChannelError> => {
  const { ownKey: shown, possession } = channel
  // A key that has retired since the handshake cannot announce: its set would lack the key itself.
  if (shown === undefined || !keys.some(({ publicKey }) => Buffer.compare(publicKey, shown) === 0))
    return Effect.void
  const announcement = KeyAnnouncement.encode(keys, { shown, possession })
  return announcement === undefined ? Effect.void : channel.sendControl(announcement)
}
