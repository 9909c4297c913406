// The near end of a tunnel: an accepted connection -> a channel -> the server's target. TUNNEL.md.
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Channel, ChannelItem } from "../../channel/Channel.ts"
import { ChannelTampered, PeerDead, type ChannelError } from "../../channel/ChannelErrors.ts"
import type { Accepted } from "../../transports/Acceptor.ts"
import type { Address } from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { connectionsBelowDescriptorLimit } from "../../transports/limits.ts"
import type {
  ConnectFailed,
  ConnectionLost,
  ListenFailed,
  PortInUse
} from "../../transports/TransportErrors.ts"
import { dial, type DialOptions } from "../Dial.ts"
import { isTransient } from "../Retry.ts"
import type { Counters, SessionFailure } from "../Service.ts"
import { spanned } from "../Tracing.ts"
import { splice } from "./Splice.ts"
import type { PlainConnection, TunnelIdle } from "./SpliceOptions.ts"
import { trafficCounter } from "./traffic.ts"
import * as ChannelPool from "./ChannelPool.ts"
import { openReusable } from "./openReusable.ts"
import { rateLimit } from "./rateLimit.ts"
import { decode, encode, isFailure, type FailureReason } from "./Messages.ts"
import * as Opening from "./Opening.ts"

/** Every limit of a tunnel's near end, by name. */
export const limits = {
  /** New connections per second; further ones are reset. */
  newPerSecond: 1000,
  /**
   * Longest wait for the server's answer to `go`, in milliseconds. The server itself waits 10 s for
   * its target.
   */
  answerMillis: 15_000
} as const

/** The server could not connect to its target. */
export class TargetRefused extends Data.TaggedError("TargetRefused")<{
  readonly peer: string
  readonly reason: FailureReason
}> {
  override get message(): string {
    return `${this.peer} cannot connect to its target: ${sentences[this.reason]}`
  }
}

const sentences: Readonly<Record<FailureReason, string>> = {
  refused: "connection refused; is the target running?",
  unreachable: "no route to it, or its name does not resolve",
  timeout: "connection timed out",
  failed: "connection failed; the server's log has the reason"
}

/** Every error that can end a forwarded connection. */
export type ForwardError = ConnectionLost | ChannelError | TargetRefused | TunnelIdle

/** The channel was lost before any byte of the connection was sent in it: another may carry it. */
class ChannelStale extends Data.TaggedError("ChannelStale")<{ readonly error: ForwardError }> {}

/** Tags of the errors by which the loss of a channel shows. */
const lossTags: ReadonlySet<ForwardError["_tag"]> = new Set([
  "StreamTruncated",
  "PeerDead",
  "ChannelClosed"
])

/** Options of a forwarded connection. */
export interface ForwardOptions {
  readonly idle?: Duration.Duration | undefined
  /** As in `SpliceOptions`. */
  readonly untilPeerEnds?: boolean
  /** Label of the tunnel in metrics and traces. Default: "". */
  readonly target?: string
}

/**
 * Forwards one connection over a channel that the server has offered. Returns when both directions
 * have ended; on an error the plain connection is reset. The caller ends the channel.
 */
export const forward = (
  plain: PlainConnection,
  channel: Channel,
  counted: Counters,
  options: ForwardOptions = {}
): Effect.Effect<void, ForwardError> =>
  Effect.catchTag(
    forwardOnce(plain, channel, counted, options, false),
    "ChannelStale",
    ({ error }) => Effect.fail(error)
  )

/** If `retriable`, it may fail with ChannelStale, which leaves the plain side unchanged. */
const forwardOnce = (
  plain: PlainConnection,
  channel: Channel,
  counted: Counters,
  { target = "", ...options }: ForwardOptions,
  retriable: boolean
): Effect.Effect<void, ForwardError | ChannelStale> =>
  Effect.suspend(() => {
    const { peer } = channel
    const traffic = trafficCounter(counted, target)
    let connected = false
    let stale = false
    /** TUNNEL.md section 2, step 4: no byte of the target's before `connected`. */
    const check = (item: ChannelItem | undefined): TargetRefused | ChannelTampered | undefined => {
      if (connected && (item === undefined || item instanceof Uint8Array)) return undefined
      const message =
        item === undefined || item instanceof Uint8Array ? undefined : decode(item.body)
      if (!connected && isFailure(message)) return new TargetRefused({ peer, reason: message })
      if (connected || message !== "connected")
        return new ChannelTampered({ peer, detail: "an unexpected message" })
      connected = true
      return undefined
    }
    channel.flow.sendControl(encode("go"))
    const forwarded = splice<TargetRefused | ChannelTampered | PeerDead>(plain, channel, {
      ...options,
      check,
      firstItem: { millis: limits.answerMillis, onTimeout: () => new PeerDead({ peer }) },
      keepsPlain: ({ _tag }) => (stale = retriable && !connected && lossTags.has(_tag)),
      endMessage: Opening.isReused(channel.opening) ? encode("end") : undefined,
      onBytes: { toPlain: traffic.fromTarget, toChannel: traffic.toTarget }
    })
    return forwarded.pipe(
      // A peer that breaks the protocol is reset, not closed. PROTOCOL.md section 1.
      Effect.tapErrorTag("ChannelTampered", () => channel.reset),
      Effect.mapError((error) => (stale ? new ChannelStale({ error }) : error))
    )
  }).pipe(
    spanned("sealwire.tunnel", () => ({
      kind: "client",
      attributes: {
        "sealwire.peer": channel.peer,
        "sealwire.from": plain.peer,
        "sealwire.target": target
      },
      atEnd: () =>
        Object.fromEntries(
          Object.entries(counted).map(([name, count]) => [`sealwire.${name}`, count])
        )
    }))
  )

/** A connection that is forwarded, and the server it goes to. */
export interface ForwardedConnection {
  /** Address of the program that connected. */
  readonly from: string
  /** The server. */
  readonly peer: string
  readonly suite: string
  readonly publicKey: Uint8Array | undefined
  /** Updated while the connection lasts. */
  readonly counted: Counters
}

/** Callbacks for the connections of a tunnel. */
export interface TunnelCallbacks {
  /** Called when the connection has its channel. */
  readonly onStarted: (connection: ForwardedConnection) => Effect.Effect<void>
  /** Called when the connection has ended; `error` is undefined after a normal end. */
  readonly onEnded: (
    connection: ForwardedConnection,
    error: ForwardError | undefined
  ) => Effect.Effect<void>
  /** Called when a connection was reset: no channel in time, or the rate limit (undefined). */
  readonly onRefused: (
    from: string,
    error: ChannelPool.NoChannel | undefined
  ) => Effect.Effect<void>
}

/** Options of a tunnel's near end. */
export interface ListenOptions<E> extends TunnelCallbacks {
  readonly address: Address
  readonly pool: ChannelPool.ChannelPool<E>
  readonly idle?: Duration.Duration | undefined
  /** Label of the tunnel in metrics and traces. Default: "". */
  readonly target?: string
  /** Maximum number of connections. Default: half of the file descriptor limit. */
  readonly connections?: number
  /** Maximum number of new connections per second. Default: `limits.newPerSecond`. */
  readonly newPerSecond?: number
}

/**
 * Listens, and forwards each connection over a channel of the pool, until the scope closes. Open
 * connections then have until the transport's drain deadline to end.
 */
export const listen = <E>({
  address,
  connections = Math.floor(connectionsBelowDescriptorLimit() / 2),
  ...options
}: ListenOptions<E>): Effect.Effect<
  Transport.Listener,
  PortInUse | ListenFailed,
  Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const admit = rateLimit(options.newPerSecond ?? limits.newPerSecond)
    return yield* transport.listen(address, (connection) => accept(connection, admit, options), {
      connections
    })
  })

const accept = <E>(
  connection: Accepted,
  admit: () => boolean,
  {
    pool,
    idle,
    target = "",
    onStarted,
    onEnded,
    onRefused
  }: Omit<ListenOptions<E>, "address" | "connections">
): Effect.Effect<void> => {
  const { peer: from } = connection
  const plain = { peer: from, flow: connection.flow }
  const refuse = (error: ChannelPool.NoChannel | undefined) =>
    Effect.zipRight(connection.abort, onRefused(from, error))
  const forwardOver = (lease: ChannelPool.Lease, counted: Counters, retriable: boolean) =>
    Effect.onExit(forwardOnce(plain, lease.channel, counted, { idle, target }, retriable), (exit) =>
      Effect.sync(() => lease.release(Exit.isFailure(exit) ? "failed" : "over"))
    )
  /** Retries once: a fresh channel cannot be stale. */
  const retry = ({ error }: ChannelStale, counted: Counters) =>
    Effect.matchEffect(pool.takeFresh, {
      onFailure: () => Effect.zipRight(connection.abort, Effect.fail(error)),
      onSuccess: (lease) => forwardOver(lease, counted, false)
    })
  const start = (lease: ChannelPool.Lease) =>
    Effect.gen(function* () {
      const { peer, suite, publicKey } = lease.channel
      const counted: Counters = {}
      const forwarded: ForwardedConnection = { from, peer, suite, publicKey, counted }
      yield* onStarted(forwarded)
      return yield* forwardOver(lease, counted, true).pipe(
        Effect.catchTag("ChannelStale", (stale) => retry(stale, counted)),
        Effect.catchTag("ChannelStale", ({ error }) => Effect.fail(error)),
        Effect.matchEffect({
          onFailure: (error) => onEnded(forwarded, error),
          onSuccess: () => onEnded(forwarded, undefined)
        })
      )
    })
  return Effect.suspend(() => {
    // All connections are local programs: when the listener is full, the newest is reset.
    connection.markAuthenticated()
    if (!admit()) return refuse(undefined)
    return Effect.matchEffect(pool.take, { onFailure: refuse, onSuccess: start })
  })
}

/** The near end of a tunnel that is listening. */
export interface TunnelClient {
  /** The local address: what connects to it reaches the target. */
  readonly address: Address
  /**
   * Succeeds if the server offers connections to the target now; fails with the reason. For a health
   * check.
   */
  readonly check: Effect.Effect<void, SessionFailure>
}

/** A tunnel as a service: `TunnelClient.layer` provides it. */
export const TunnelClient: Context.Tag<TunnelClient, TunnelClient> =
  Context.GenericTag<TunnelClient>("sealwire/services/tunnel/TunnelClient")

/** Options of a tunnel as a layer. */
export interface LayerOptions<E, R> extends Partial<
  Omit<ListenOptions<E>, "address" | "pool" | "target">
> {
  /** The local address. */
  readonly listen: Address
  /** The server, and how this client authenticates it. */
  readonly server: DialOptions<E, R>
  /** The name of the server's target. Default: the only one it has. */
  readonly target?: string
  /** Number of channels kept ready. Default: `limits.ready` of ChannelPool. */
  readonly ready?: number
}

/**
 * Provides a tunnel that listens once the layer is built. Fails with `PortInUse` or `ListenFailed`,
 * and as the first attempt to reach the server does, if another attempt cannot help; a server that
 * is away is tried again for as long as the tunnel exists.
 *
 * @example
 * const DatabaseLive = TunnelClient.layer({
 *   listen: Address.tcp("127.0.0.1", 5432),
 *   server: { address, keys: Credentials.pinned(serverKey) },
 *   target: "postgres"
 * })
 */
export const layer = <E extends SessionFailure = never, R = never>({
  listen: address,
  server,
  target = "",
  ready,
  ...options
}: LayerOptions<E, R>): Layer.Layer<
  TunnelClient,
  PortInUse | ListenFailed | ConnectFailed | ChannelError | E,
  Exclude<R | Transport, Scope.Scope>
> =>
  Layer.scoped(
    TunnelClient,
    Effect.gen(function* () {
      const pool = yield* ChannelPool.make({
        open: openReusable(
          (opening, use) => Effect.scoped(Effect.flatMap(dial(server, opening), use)),
          target
        ),
        ...(ready === undefined ? {} : { size: ready })
      })
      const nothing = () => Effect.void
      const listener = yield* listen({
        onStarted: nothing,
        onEnded: nothing,
        onRefused: nothing,
        ...options,
        address,
        pool,
        target
      })
      yield* Effect.catchIf(
        pool.firstAttempt,
        (error) => isTransient(error, false),
        () => Effect.void
      )
      return { address: listener.address, check: pool.check }
    })
  )
