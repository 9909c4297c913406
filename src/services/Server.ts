// Serves clients over the channel: accept -> handshake -> what it was opened for -> the rules -> that service.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import type { ChannelError, HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/Handshake.ts"
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

/** What happens at a server. */
export type ServerEvent = Data.TaggedEnum<{
  Listening: {
    readonly address: Address
    /** Connections that are not established, now. */
    readonly halfOpen: () => number
  }
  /** `counted` goes on counting. */
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
  ConnectionRefused: { readonly from: string; readonly reason: string }
}>
/** The constructors and `$match`. */
export const ServerEvent: Data.TaggedEnum.Constructor<ServerEvent> = Data.taggedEnum<ServerEvent>()

/** A long-term key of this server. */
export interface Identity extends KeyPair {
  /** The moment from which on it opens no more, in milliseconds since 1970. */
  readonly retires?: number
}

/** What this server is known by, and who is let in. */
export interface Keys extends Omit<ServerKeys, "application" | "identities"> {
  /** The current one, the next, those that retire; of several, clients are told. At most `limits.identities` of the channel. */
  readonly identities?: ReadonlyArray<Identity>
}

/** Where it listens, with which keys, and what it does. */
export interface ServeOptions {
  readonly address: Address
  readonly keys: Keys
  readonly padding?: Padding
  /** Connections at once; without it, as many as the file descriptors allow. */
  readonly connections?: number
  /** Who may come in and what each may do, while it may change; without it, whom `keys` lets in may do all. */
  readonly peers?: PeerSessions
  /** What is done here, each once; a client says which it wants. */
  readonly services: ReadonlyArray<Service>
  /** Told of everything that happens, from many sessions at once. */
  readonly on: (event: ServerEvent) => Effect.Effect<void>
}

/** Serves until interrupted; then finishes what is in flight, within the drain deadline. */
export const serve = (
  options: ServeOptions
): Effect.Effect<never, PortInUse | ListenFailed, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const listener = yield* transport.listen(
      options.address,
      (connection) => serveConnection(connection, options),
      {
        ...(options.connections === undefined ? {} : { connections: options.connections }),
        halfOpen: channelLimits.halfOpen,
        halfOpenPerSource: channelLimits.halfOpenPerSource
      }
    )
    yield* options.on(ServerEvent.Listening(listener))
    return yield* Effect.never
  }).pipe(Effect.scoped)

const serveConnection = (
  connection: Accepted,
  { keys, padding, peers, services, on }: ServeOptions
) =>
  Effect.gen(function* () {
    const timers = yield* Timers.current
    const standing = () =>
      (keys.identities ?? []).filter(({ retires = Infinity }) => timers.now < retires)
    const held: ServerKeys = {
      ...keys,
      application,
      // Asked for when message 1 is there: a key that retires in between does not open it.
      get identities() {
        return standing()
      }
    }
    metrics.halfOpen.add(1)
    const channel = yield* Channel.accept(
      connection,
      held,
      padding === undefined ? {} : { padding }
    ).pipe(Effect.ensuring(Effect.sync(() => metrics.halfOpen.add(-1))))
    const { peer, peerAddress, publicKey, suite, opening } = channel
    const sender: RemotePeer = { peer, from: peerAddress, publicKey, suite }
    const { name, argument } = parseOpening(opening)
    const counted: Counters = {}
    const service = services.find(
      (one) => one.name === name && (argument === "" || one.takesArgument === true)
    )
    const about = service?.about?.(argument)
    const told = { sender, service: about === undefined ? name : `${name} ${about}`, counted }
    yield* on(ServerEvent.SessionStarted(told))
    metrics.sessionsStarted.add(1)
    metrics.sessions.add(1)
    const ended = (error: SessionError | undefined) => {
      if (error !== undefined) metrics.sessionsFailed.add(1)
      return on(ServerEvent.SessionEnded({ ...told, error }))
    }
    const session =
      service === undefined
        ? Effect.fail(new NotServed({ peer, opening }))
        : seated(channel, connection, peers, service, (seat) =>
            Effect.zipRight(
              announce(channel, standing()),
              service.run({
                channel,
                connection,
                remote: sender,
                argument,
                counters: counted,
                peerSession: seat
              })
            )
          )
    const inSpan = spanned("sealwire.session", () => ({
      kind: "server",
      trace: "own",
      attributes: {
        "sealwire.peer": peer,
        "sealwire.from": peerAddress,
        "sealwire.suite": suite,
        // What is not served here has a name of the peer's choice.
        ...(service === undefined ? {} : { "sealwire.service": service.name }),
        ...(about === undefined ? {} : { "sealwire.target": about })
      },
      atEnd: () =>
        Object.fromEntries(
          Object.entries(counted).map(([what, count]) => [`sealwire.${what}`, count])
        )
    }))
    yield* Effect.matchEffect(inSpan(session), {
      onSuccess: () => ended(undefined),
      onFailure: (error) => Effect.zipRight(ended(error), closed(channel, connection, error))
    }).pipe(Effect.ensuring(Effect.sync(() => metrics.sessions.add(-1))))
  }).pipe(
    Effect.catchTag("HandshakeFailed", ({ reason }: HandshakeFailed) =>
      Effect.suspend(() => {
        metrics.connectionsRefused.add(1)
        return on(ServerEvent.ConnectionRefused({ from: connection.peer, reason }))
      })
    )
  )

/** What the close says after an error. Who breaks the protocol gets no orderly end. */
const closed = (
  channel: Channel.Channel,
  connection: Accepted,
  { _tag }: SessionError
): Effect.Effect<void> =>
  _tag === "ChannelTampered"
    ? connection.abort
    : channel.setCloseReason(closings.get(_tag) ?? "Failed")

const closings: ReadonlyMap<string, "Refused" | "NotOffered"> = new Map([
  ["RefusedByRules", "Refused"],
  ["NotServed", "NotOffered"]
])

/** What a peer does while it has its seat. One that is put out is cut off: its reading fails, for the reason it was put out. */
const seated = (
  { publicKey, peerAddress }: Channel.Channel,
  connection: Accepted,
  peers: PeerSessions | undefined,
  { name }: Service,
  use: (seat: PeerSession | undefined) => Effect.Effect<void, SessionError, Scope.Scope>
): Effect.Effect<void, SessionError, Scope.Scope> =>
  Effect.suspend(() => {
    if (peers === undefined || publicKey === undefined) return use(undefined)
    const seat = peers.open(publicKey, peerAddress, name, connection.flow.reset)
    if (seat instanceof RefusedByRules) return Effect.fail(seat)
    return use(seat).pipe(
      Effect.mapError((error) => seat.expelled() ?? error),
      Effect.ensuring(Effect.sync(seat.close))
    )
  })

/** A client that knows one of several keys is told of all: the channel itself says that they are this server's. */
const announce = (
  channel: Channel.Channel,
  keys: ReadonlyArray<Identity>
): Effect.Effect<void, ChannelError> =>
  channel.publicKey === undefined || keys.length < 2
    ? Effect.void
    : channel.sendControl(KeyAnnouncement.encode(keys))
