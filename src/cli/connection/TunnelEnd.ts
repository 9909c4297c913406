// The near end of a tunnel for the commands: standard input and output as one connection, or a
// listener whose connections are forwarded.
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Channel } from "../../channel/Channel.ts"
import { NotOffered, type ChannelError } from "../../channel/ChannelErrors.ts"
import type { Padding } from "../../channel/Padding.ts"
import { dial } from "../../services/Dial.ts"
import { isTransient } from "../../services/Retry.ts"
import { ServerEvent } from "../../services/Server.ts"
import type { RemotePeer } from "../../services/Service.ts"
import {
  forward,
  listen,
  type ForwardedConnection,
  type TunnelCallbacks,
  type ForwardError
} from "../../services/tunnel/TunnelClient.ts"
import * as ChannelPool from "../../services/tunnel/ChannelPool.ts"
import { openReusable } from "../../services/tunnel/openReusable.ts"
import * as Opening from "../../services/tunnel/Opening.ts"
import * as Address from "../../transports/Address.ts"
import * as Net from "../../transports/Net.ts"
import * as Stdio from "../../transports/Stdio.ts"
import { optionError } from "../arguments/options.ts"
import type * as Control from "./Control.ts"
import * as ReadyParts from "./ReadyParts.ts"
import * as ServerFlags from "./ServerFlags.ts"
import { readFailed, readable } from "../input/standardInput.ts"
import { Report } from "../output/Report.ts"
import { connectionRefusals, type RefusedConnection } from "../output/refusals.ts"
import { Event } from "../output/events/index.ts"

export interface Flags extends ServerFlags.Flags {
  readonly target: string
  readonly padding: Padding
}

type Emit = (event: Event) => Effect.Effect<void>

/** Opens channels for the target, each with the keys of the server known at that time. */
const channelsWith = (flags: Flags, emit: Emit) =>
  Effect.map(
    ServerFlags.prepare(flags, emit),
    (server) => (opening: string, use: (channel: Channel) => Effect.Effect<void, ChannelError>) =>
      Effect.mapError(
        ServerFlags.connect(
          server,
          (options) => dial({ ...options, padding: flags.padding }, opening),
          use
        ),
        (error) =>
          flags.target === "" && error instanceof NotOffered
            ? new NotOffered({ ...error, hint: targetHint })
            : error
      )
  )

const targetHint = "the server has no target, or several: choose one with --target NAME"

/**
 * Forwards standard input and output as one connection. Ends when the target has ended its stream
 * and all of it is written.
 */
export const forwardStdio = (flags: Flags, emit: Emit, idle?: Duration.Duration) =>
  Effect.gen(function* () {
    const { needsOutput } = yield* Report
    // This must be first: any other access to standard input would start to read it.
    const socket = Stdio.isOneSocket() ? Stdio.socket() : undefined
    const inherited = socket && (yield* Net.fromSocket(socket, "standard input"))
    if (inherited === undefined) {
      yield* readable
      // If standard output was closed at start-up, the target's bytes would be lost without an error.
      yield* needsOutput
    }
    const open = yield* channelsWith(flags, emit)
    const forwardOver = (channel: Channel) =>
      Effect.suspend(() => {
        const flow = inherited?.flow ?? Stdio.flow((code) => (inputError = code))
        const plain = { peer: "standard input", flow }
        return forward(plain, channel, {}, { idle, untilPeerEnds: inherited === undefined })
      })
    let inputError: string | undefined
    let failure: ForwardError | undefined
    yield* open(Opening.once(flags.target), (channel) =>
      Effect.zipRight(
        ChannelPool.untilOffered(channel),
        // Not an error of the session: a channel that fails cannot send its close reason.
        Effect.catchAll(forwardOver(channel), (error) => {
          failure = error
          return channel.setCloseReason("Failed")
        })
      )
    )
    if (inputError !== undefined) return yield* readFailed({ code: inputError })
    if (failure !== undefined) return yield* Effect.fail(failure)
    return undefined
  })

export interface ListenFlags extends Flags {
  readonly listen: Address.Address
  readonly pool: number
  readonly connections: Option.Option<number>
  readonly rate: number
  readonly idle: Duration.Duration
  readonly unsafeListenToAnyone: boolean
}

export const unsafeListen = "unsafe-listen-to-anyone"

/**
 * True for an address that other machines can reach. For a host name or an inherited socket this is
 * known only once it listens.
 */
export const isExposed = (
  address: Address.Address,
  { unsafeListenToAnyone }: Pick<ListenFlags, "unsafeListenToAnyone">
): boolean =>
  !unsafeListenToAnyone &&
  address._tag === "Tcp" &&
  Address.isIp(address.host) &&
  !Address.isLoopback(address)

export const exposedError = (address: Address.Address) =>
  optionError(
    "listen",
    `${Address.format(address)} accepts other machines without a key, and their traffic crosses the network unencrypted; ` +
      `use :PORT or a socket path, or add --${unsafeListen}`
  )

/**
 * Listens, and forwards each connection, until interrupted. Fails if the first attempt to reach the
 * server fails with an error that retrying cannot resolve.
 */
export const forwardListener = (
  flags: ListenFlags,
  { status, readiness }: Pick<Control.Sources, "status" | "readiness">,
  emit: Emit
) =>
  Effect.gen(function* () {
    const { target, pool: size } = flags
    const to = Address.format(flags.to)
    const open = openReusable(yield* channelsWith(flags, emit), target)
    let started = false
    const pool = yield* ChannelPool.make({
      open,
      size,
      // The error that ends the command is reported once, by the command.
      onUnavailable: (error) =>
        started || isTransient(error, false)
          ? emit(Event.TunnelDisconnected({ to, target, reason: error.message }))
          : Effect.void,
      onAvailable: () => emit(Event.TunnelReconnected({ to, target }))
    })
    readiness.add(ReadyParts.tunnel(target, pool))
    yield* Effect.catchIf(
      pool.firstAttempt,
      (error) => isTransient(error, false),
      () => Effect.void
    )
    started = true

    const record = (event: ServerEvent) =>
      Effect.sync(() => {
        status.record(event, Address.format)
        readiness.record(event)
      })
    const listener = yield* listen({
      address: flags.listen,
      pool,
      idle: flags.idle,
      target,
      newPerSecond: flags.rate,
      ...Option.match(flags.connections, {
        onNone: () => ({}),
        onSome: (connections) => ({ connections })
      }),
      ...connectionEvents(flags, record, emit, yield* connectionRefusals(emit))
    })
    if (isExposed(listener.boundAddress, flags)) return yield* exposedError(listener.boundAddress)
    yield* record(ServerEvent.Listening(listener))
    // Before the listener's finalizer, which waits for open connections.
    yield* Effect.addFinalizer(() => record(ServerEvent.Stopping()))
    yield* emit(
      Event.TunnelListening({
        listen: Address.format(listener.address),
        to,
        target,
        ready: pool.ready()
      })
    )
    return yield* Effect.never
  })

/** Records the connections of a tunnel in its status, and emits their events. */
const connectionEvents = (
  { target, rate }: ListenFlags,
  record: (event: ServerEvent) => Effect.Effect<void>,
  emit: Emit,
  refuse: (refused: RefusedConnection) => Effect.Effect<void>
): TunnelCallbacks => {
  const service = Opening.once(target)
  const remotes = new Map<ForwardedConnection, RemotePeer>()
  return {
    onStarted: (connection) => {
      const { counted, ...sender } = connection
      remotes.set(connection, sender)
      return Effect.zipRight(
        record(ServerEvent.SessionStarted({ sender, service, counted })),
        emit(Event.ConnectionStarted({ target, ...sender }))
      )
    },
    onEnded: (connection, error) => {
      const { counted } = connection
      const sender = remotes.get(connection) ?? connection
      remotes.delete(connection)
      const ended = { target, ...sender, counted, error: error?.message }
      return Effect.zipRight(
        record(ServerEvent.SessionEnded({ sender, service, counted, error })),
        emit((error === undefined ? Event.ConnectionEnded : Event.ConnectionReset)(ended))
      )
    },
    onRefused: (from, error) => {
      const reason = error?.message ?? `more than ${rate} new connections per second (--rate)`
      return Effect.zipRight(
        record(ServerEvent.ConnectionRefused({ from, reason })),
        refuse({ target, from, reason })
      )
    }
  }
}
