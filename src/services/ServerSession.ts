// The sessions of a channel at a server: service -> rules -> run, with their events, spans and close
// code.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Channel from "../channel/Channel.ts"
import type { ChannelError } from "../channel/ChannelErrors.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import { Timers } from "../transports/Timers.ts"
import * as KeyAnnouncement from "./KeyAnnouncement.ts"
import { metrics } from "./Metrics.ts"
import { holdsKey, refuseNext } from "./nextSession.ts"
import type { SessionMemory } from "./PeerBudgets.ts"
import { RefusedByRules, type PeerSession, type PeerSessions } from "./PeerSessions.ts"
import { ServerEvent } from "./ServerEvent.ts"
import type { Identity } from "./ServerKeys.ts"
import {
  again,
  NotServed,
  parseOpening,
  SessionDied,
  SessionInterrupted,
  type Counters,
  type RemotePeer,
  type Service,
  type SessionError,
  type SessionFailure
} from "./Service.ts"
import { spanned } from "./Tracing.ts"

/** The options of a server that each of its sessions gets. */
export interface SessionOptions<E, R> {
  readonly services: ReadonlyArray<Service<E, R>>
  readonly peers: PeerSessions | undefined
  readonly identities: () => ReadonlyArray<Identity>
  readonly report: (event: ServerEvent<E>) => Effect.Effect<void, never, R>
}

/** The result of a session, and of the service that has run it. */
type Result = void | typeof again

/**
 * Runs the session of a channel, or several, one after another, where the service leaves the channel
 * to the next one. The channel is closed afterwards.
 */
export const run = <E extends SessionFailure, R>(
  channel: Channel.Channel,
  connection: Accepted,
  options: SessionOptions<E, R>,
  memory: SessionMemory
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.flatMap(Timers.current, (timers) => {
    const { identities } = options
    const openedAt = timers.monotonic
    const serve = (
      announce: Effect.Effect<void, ChannelError>
    ): Effect.Effect<void, never, R | Scope.Scope> =>
      Effect.flatMap(runOne(channel, connection, options, announce, memory), (result) => {
        if (result !== again) return Effect.void
        const ageMillis = timers.monotonic - openedAt
        const refusal = refuseNext(channel, connection, { ageMillis, keys: identities() })
        if (refusal === undefined) return serve(Effect.void)
        return refusal === "Done" ? Effect.void : channel.setCloseReason(refusal)
      })
    return serve(Effect.suspend(() => announceKeys(channel, identities())))
  })

/** Runs one session: selects the service, reports start and end, and sets the code of CLOSE. */
const runOne = <E extends SessionFailure, R>(
  channel: Channel.Channel,
  connection: Accepted,
  { peers, services, report }: SessionOptions<E, R>,
  announce: Effect.Effect<void, ChannelError>,
  memory: SessionMemory
): Effect.Effect<Result, never, R | Scope.Scope> =>
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
    yield* report(ServerEvent.SessionStarted(described))
    metrics.sessionsStarted.add(1)
    metrics.sessions.add(1)
    const reportEnd = (exit: Exit.Exit<Result, SessionError<E>>) => {
      metrics.sessions.add(-1)
      const error = errorOf(exit, peer)
      if (error !== undefined) metrics.sessionsFailed.add(1)
      return report({ ...ServerEvent.SessionEnded({ ...described, error: undefined }), error })
    }
    const session =
      service === undefined
        ? Effect.fail(new NotServed({ peer, opening }))
        : withPeerSession(channel, connection, peers, service, (peerSession) =>
            Effect.zipRight(
              announce,
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
    return yield* traced(session).pipe(
      Effect.onExit(reportEnd),
      Effect.catchAll((error) => closeAfter(error, channel, connection))
    )
  })

/** Returns the error of a session that has not ended well: a defect and an interruption have one. */
const errorOf = <E>(
  exit: Exit.Exit<Result, SessionError<E>>,
  peer: string
): SessionError<E> | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const { cause } = exit
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return failure.value
  return Cause.isInterruptedOnly(cause)
    ? new SessionInterrupted({ peer })
    : new SessionDied({ peer, defect: Cause.squash(cause) })
}

/** Sets the code of CLOSE for an error. A client that breaks the protocol is reset instead. */
const closeAfter = (
  { _tag }: SessionFailure,
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
const withPeerSession = <E, R>(
  { publicKey, peerAddress }: Channel.Channel,
  connection: Accepted,
  peers: PeerSessions | undefined,
  { name }: Service<E, R>,
  use: (session: PeerSession | undefined) => ReturnType<Service<E, R>["run"]>
): ReturnType<Service<E, R>["run"]> =>
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
  if (shown === undefined || !holdsKey(channel, keys)) return Effect.void
  const announcement = KeyAnnouncement.encode(keys, { shown, possession })
  return announcement === undefined ? Effect.void : channel.sendControl(announcement)
}
