// The near end of a tunnel: a connection that came in -> a channel -> the server's target. TUNNEL.md.
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Channel, ChannelItem } from "../../channel/Channel.ts"
import { ChannelTampered, PeerDead, type ChannelError } from "../../channel/ChannelErrors.ts"
import type { Accepted } from "../../transports/Acceptor.ts"
import type { Address } from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import { connectionsBelowDescriptorLimit } from "../../transports/limits.ts"
import type { ConnectionLost, ListenFailed, PortInUse } from "../../transports/TransportErrors.ts"
import type { Counted } from "../Service.ts"
import { spanned } from "../Tracing.ts"
import { splice, type Plain, type TunnelIdle } from "./Splice.ts"
import { counting } from "./TunnelService.ts"
import type { Lease, NoChannel, ChannelPool } from "./ChannelPool.ts"
import { decode, encode, isReason, type Reason } from "./Messages.ts"

/** Every bound of a tunnel at its client, by name. */
export const limits = {
  /** New connections in a second; the rest are reset. */
  newPerSecond: 1000,
  /** How long the server may take to say whether its target has the connection: it gives up after 10 seconds itself. */
  answerMillis: 15_000
} as const

/** The server has no connection to its target. */
export class TargetRefused extends Data.TaggedError("TargetRefused")<{
  readonly peer: string
  readonly reason: Reason
}> {
  override get message(): string {
    return `${this.peer} has no connection to its target: ${sentences[this.reason]}`
  }
}

const sentences: Readonly<Record<Reason, string>> = {
  refused: "nobody listens there",
  unreachable: "there is no way there, or its name leads nowhere",
  timeout: "it does not answer",
  failed: "the system there refused it"
}

/** Every reason for which a connection was not carried to its end. */
export type CarryError = ConnectionLost | ChannelError | TargetRefused | TunnelIdle

/** The channel had gone before anything of the connection was said in it: another one may carry it. */
class ChannelStale extends Data.TaggedError("ChannelStale")<{ readonly why: CarryError }> {}

/** How one that has gone shows. */
const goings: ReadonlySet<string> = new Set(["StreamTruncated", "PeerDead", "ChannelClosed"])

/** How one connection is carried. */
export interface CarryOptions {
  readonly idle?: Duration.Duration | undefined
  readonly untilPeerEnds?: boolean
  /** As the figures name the tunnel; default: "". */
  readonly target?: string
}

/** One connection over a channel that was offered. The plain side is closed, or reset with an error. */
export const carry = (
  plain: Plain,
  channel: Channel,
  counted: Counted,
  options: CarryOptions = {}
): Effect.Effect<void, CarryError> =>
  Effect.catchTag(attempt(plain, channel, counted, options, false), "ChannelStale", ({ why }) =>
    Effect.fail(why)
  )

/** The same, which where `sparing` may fail with ChannelStale: then the plain side is as it was. */
const attempt = (
  plain: Plain,
  channel: Channel,
  counted: Counted,
  { target = "", ...options }: CarryOptions,
  sparing: boolean
): Effect.Effect<void, CarryError | ChannelStale> =>
  Effect.suspend(() => {
    const { peer } = channel
    const moved = counting(counted, target)
    let connected = false
    let spared = false
    /** TUNNEL.md section 2, step 4: nothing of the target's before the word. */
    const judge = (item: ChannelItem | undefined): TargetRefused | ChannelTampered | undefined => {
      if (connected && (item === undefined || item instanceof Uint8Array)) return undefined
      const word = item === undefined || item instanceof Uint8Array ? undefined : decode(item.body)
      if (!connected && isReason(word)) return new TargetRefused({ peer, reason: word })
      if (connected || word !== "connected")
        return new ChannelTampered({ peer, detail: "an unexpected message" })
      connected = true
      return undefined
    }
    channel.flow.sendControl(encode("go"))
    const carried = splice<TargetRefused | ChannelTampered | PeerDead>(plain, channel, {
      ...options,
      judge,
      first: { millis: limits.answerMillis, late: () => new PeerDead({ peer }) },
      spares: ({ _tag }) => (spared = sparing && !connected && goings.has(_tag)),
      moved: { toPlain: moved.out, toChannel: moved.in }
    })
    return Effect.mapError(carried, (why) => (spared ? new ChannelStale({ why }) : why))
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
          Object.entries(counted).map(([what, count]) => [`sealwire.${what}`, count])
        )
    }))
  )

/** A connection at the near end, as it ends. */
export interface Carried {
  readonly from: string
  readonly peer: string
  readonly suite: string
  readonly publicKey: Uint8Array | undefined
  readonly counted: Counted
}

/** Told of what becomes of the connections. */
export interface TunnelEvents {
  /** It has its channel; `counted` goes on counting. */
  readonly onStarted: (carried: Carried) => Effect.Effect<void>
  /** It is over, and how: undefined after a good end. */
  readonly onEnded: (carried: Carried, error: CarryError | undefined) => Effect.Effect<void>
  /** It was reset: no channel in time, or too many in a second (undefined). */
  readonly onTurnedAway: (from: string, error: NoChannel | undefined) => Effect.Effect<void>
}

/** Where a tunnel listens. */
export interface ListenOptions<E> extends TunnelEvents {
  readonly address: Address
  readonly pool: ChannelPool<E>
  readonly idle?: Duration.Duration | undefined
  /** As the figures name the tunnel; default: "". */
  readonly target?: string
  readonly connections?: number
  readonly newPerSecond?: number
}

/** Carries what connects here. With the scope no more come in, and those that stand get until the drain deadline. */
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
    const mayCome = perSecond(options.newPerSecond ?? limits.newPerSecond)
    return yield* transport.listen(address, (connection) => welcome(connection, mayCome, options), {
      connections
    })
  })

const welcome = <E>(
  connection: Accepted,
  mayCome: () => boolean,
  {
    pool,
    idle,
    target = "",
    onStarted,
    onEnded,
    onTurnedAway
  }: Omit<ListenOptions<E>, "address" | "connections">
): Effect.Effect<void> =>
  Effect.gen(function* () {
    // There are no strangers here: when all places are taken, it is the newcomer who goes.
    connection.markAuthenticated()
    const { peer: from } = connection
    const turnedAway = (error: NoChannel | undefined) =>
      Effect.zipRight(connection.abort, onTurnedAway(from, error))
    if (!mayCome()) return yield* turnedAway(undefined)
    const lease = yield* Effect.either(pool.take)
    if (lease._tag === "Left") return yield* turnedAway(lease.left)
    const { peer, suite, publicKey } = lease.right.channel
    const carried: Carried = { from, peer, suite, publicKey, counted: {} }
    const plain = { peer: from, flow: connection.flow }
    const over = ({ channel, release }: Lease, sparing: boolean) =>
      Effect.onExit(attempt(plain, channel, carried.counted, { idle, target }, sparing), (exit) =>
        Effect.sync(() => release(Exit.isFailure(exit)))
      )
    /** Once: a channel that was made just now is no stale one. */
    const anew = ({ why }: ChannelStale) =>
      Effect.flatMap(Effect.either(pool.takeFresh), (next) =>
        next._tag === "Right"
          ? over(next.right, false)
          : Effect.zipRight(connection.abort, Effect.fail(why))
      )
    yield* onStarted(carried)
    const result = yield* over(lease.right, true).pipe(
      Effect.catchTag("ChannelStale", anew),
      Effect.catchTag("ChannelStale", ({ why }) => Effect.fail(why)),
      Effect.either
    )
    return yield* onEnded(carried, result._tag === "Left" ? result.left : undefined)
  })

/** So many in each second of the clock. */
const perSecond = (most: number): (() => boolean) => {
  let second = 0
  let come = 0
  return () => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) come = 0
    second = now
    return ++come <= most
  }
}
