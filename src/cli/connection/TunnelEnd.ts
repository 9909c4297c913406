// The near end of a tunnel, as commands give it: one connection on standard input and output, or all that come in somewhere.
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Channel } from "../../channel/Channel.ts"
import { NotOffered, type ChannelError } from "../../channel/ChannelErrors.ts"
import type { Padding } from "../../channel/Padding.ts"
import { dial } from "../../services/Dial.ts"
import { isTransient } from "../../services/Retry.ts"
import { ServerEvent } from "../../services/Server.ts"
import { opening, type RemotePeer } from "../../services/Service.ts"
import {
  forward,
  listen,
  type ForwardedConnection,
  type ForwardError
} from "../../services/tunnel/TunnelClient.ts"
import * as ChannelPool from "../../services/tunnel/ChannelPool.ts"
import * as Address from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import * as Stdio from "../../transports/Stdio.ts"
import { optionError } from "../arguments/options.ts"
import * as ServerConnection from "./ServerConnection.ts"
import { OutputFailed } from "../output/Report.ts"
import * as standardOutput from "../output/standardOutput.ts"
import type { Status } from "../output/Status.ts"
import { Event } from "../output/events/index.ts"

export interface Flags extends ServerConnection.Flags {
  readonly target: string
  readonly padding: Padding
}

type Tell = (event: Event) => Effect.Effect<void>

/** Sessions with the server's target, each by the keys that are known for it at that moment. */
const openWith = (given: Flags, tell: Tell) =>
  Effect.map(
    ServerConnection.prepare(given, tell),
    (server) => (use: (channel: Channel) => Effect.Effect<void, ChannelError>) =>
      Effect.mapError(
        ServerConnection.connect(
          server,
          (options) =>
            dial({ ...options, padding: given.padding }, opening("tunnel", given.target)),
          use
        ),
        (error) =>
          given.target === "" && error instanceof NotOffered
            ? new NotOffered({ ...error, hint: nameOne })
            : error
      )
  )

const nameOne = "it has no target, or several, and --target NAME says which; ask who runs it"

/** Standard input and output are the one connection; done when the target has ended and all is written. */
export const overStdio = (given: Flags, tell: Tell, idle?: Duration.Duration) =>
  Effect.gen(function* () {
    // Before anything else looks at standard input: it would begin to read it.
    const inherited = Stdio.isOneSocket()
      ? yield* Net.fromSocket(Stdio.socket(), "standard input")
      : undefined
    // Closed when this was started: what the target says would be lost, and look whole.
    if (inherited === undefined && !standardOutput.isOpen())
      return yield* new OutputFailed({ code: "EBADF" })
    const open = yield* openWith(given, tell)
    const carried = (channel: Channel) =>
      Effect.suspend(() => {
        const plain = { peer: "standard input", flow: inherited?.flow ?? Stdio.flow() }
        return forward(plain, channel, {}, { idle, untilPeerEnds: inherited === undefined })
      })
    let failed: ForwardError | undefined
    yield* open((channel) =>
      Effect.zipRight(
        ChannelPool.untilOffered(channel),
        // Said in the close, which a channel that fails does not come to.
        Effect.catchAll(carried(channel), (error) => {
          failed = error
          return channel.setCloseReason("Failed")
        })
      )
    )
    if (failed !== undefined) return yield* Effect.fail(failed)
    return undefined
  })

export interface ListenGiven extends Flags {
  readonly listen: Address.Address
  readonly pool: number
  readonly connections: Option.Option<number>
  readonly rate: number
  readonly idle: Duration.Duration
  readonly unsafeListenToAnyone: boolean
}

export const unsafeListen = "unsafe-listen-to-anyone"

/** True for what is another machine's to reach, as it stands there; a name, and a socket of whoever started this, say it only once they listen. */
export const forOthers = (
  address: Address.Address,
  { unsafeListenToAnyone }: Pick<ListenGiven, "unsafeListenToAnyone">
): boolean =>
  !unsafeListenToAnyone &&
  address._tag === "Tcp" &&
  Address.isIp(address.host) &&
  !Address.isLoopback(address)

export const reachableByOthers = (address: Address.Address) =>
  optionError(
    "listen",
    `${Address.format(address)} lets other machines in, with no key, and what they say crosses the network in clear; ` +
      `listen on this machine (:PORT, a socket's path), or say --${unsafeListen}`
  )

/** Carries all that connect, until interrupted. The first attempt to reach the server must not show that it never will do. */
export const carryAll = (given: ListenGiven, status: Status, tell: Tell) =>
  Effect.gen(function* () {
    const { target, pool: size } = given
    const to = Address.format(given.to)
    const open = yield* openWith(given, tell)
    let begun = false
    const pool = yield* ChannelPool.make({
      open,
      size,
      // What ends the command is said once.
      onUnavailable: (error) =>
        begun || isTransient(error, false)
          ? tell(Event.TunnelDisconnected({ to, target, reason: error.message }))
          : Effect.void,
      onAvailable: () => tell(Event.TunnelReconnected({ to, target }))
    })
    yield* Effect.catchIf(
      pool.firstAttempt,
      (error) => isTransient(error, false),
      () => Effect.void
    )
    begun = true

    const service = target === "" ? "tunnel" : `tunnel ${target}`
    const seen = new Map<ForwardedConnection, RemotePeer>()
    const heard = (event: ServerEvent) => Effect.sync(() => status.record(event, Address.format))
    const listener = yield* listen({
      address: given.listen,
      pool,
      idle: given.idle,
      target,
      newPerSecond: given.rate,
      ...Option.match(given.connections, {
        onNone: () => ({}),
        onSome: (connections) => ({ connections })
      }),
      onStarted: (carried) => {
        const { counted, ...sender } = carried
        seen.set(carried, sender)
        return Effect.zipRight(
          heard(ServerEvent.SessionStarted({ sender, service, counted })),
          tell(Event.ConnectionStarted({ target, ...sender }))
        )
      },
      onEnded: (carried, error) => {
        const { counted } = carried
        const sender = seen.get(carried) ?? carried
        seen.delete(carried)
        const ended = { target, ...sender, counted, error: error?.message }
        return Effect.zipRight(
          heard(ServerEvent.SessionEnded({ sender, service, counted, error })),
          tell((error === undefined ? Event.ConnectionEnded : Event.ConnectionReset)(ended))
        )
      },
      onRefused: (from, error) => {
        const reason = error?.message ?? `more than ${given.rate} connections in a second (--rate)`
        return Effect.zipRight(
          heard(ServerEvent.ConnectionRefused({ from, reason })),
          tell(Event.ConnectionRefused({ target, from, reason }))
        )
      }
    })
    if (forOthers(listener.boundAddress, given))
      return yield* reachableByOthers(listener.boundAddress)
    yield* heard(ServerEvent.Listening(listener))
    yield* tell(
      Event.TunnelListening({
        listen: Address.format(listener.address),
        to,
        target,
        ready: pool.ready()
      })
    )
    return yield* Effect.never
  })
