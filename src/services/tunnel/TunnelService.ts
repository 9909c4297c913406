// The far end of a tunnel: a channel opened for a target -> a connection to it. TUNNEL.md.
import { shown } from "../../bytes/excerpt.ts"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Control } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { canonical, type Address } from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import type {
  ConnectFailed,
  ConnectFailure,
  ConnectionLost
} from "../../transports/TransportErrors.ts"
import * as ProxyHeader from "./ProxyHeader.ts"
import { RefusedByRules } from "../PeerSessions.ts"
import { again, NotServed, type Service, type ServiceSession } from "../Service.ts"
import { splice } from "./Splice.ts"
import type { TunnelIdle } from "./SpliceOptions.ts"
import { throttleMillis } from "../rules.ts"
import { name as serviceName, ruleOptions, takeConnection, targetRefusal } from "./rules.ts"
import { trafficCounter } from "./traffic.ts"
import { decode, encode, type FailureReason } from "./Messages.ts"
import * as Opening from "./Opening.ts"

/** Every limit of the service, by name. */
export const limits = {
  /** A connection without traffic for this long is ended. */
  idle: "24 hours"
} as const

/** An address that clients may reach through the server. */
export interface Target {
  /** A peer name (PEERS.md), at most 240 bytes long. */
  readonly name: string
  /** A host name is resolved again for each connection. */
  readonly address: Address
  /**
   * Allows an address on another machine; traffic to it crosses the network unencrypted. Without it
   * a host name must resolve to the loopback interface each time.
   */
  readonly allowRemote?: boolean
  /** Sends a PROXY protocol header, which names the client, before any other byte. */
  readonly proxyProtocol?: boolean
}

/** The server could not connect to the target. The client learns only a category of the reason. */
export class TargetUnreached extends Data.TaggedError("TargetUnreached")<{
  readonly target: string
  readonly reason: string
}> {
  override get message(): string {
    return `target ${shown(this.target)} is unreachable: ${this.reason}`
  }
}

/** Options of the service. */
export interface TunnelOptions {
  /** Longest time without traffic. Default: `limits.idle`. */
  readonly idle?: Duration.DurationInput
}

/** The errors of a session beside those of every service. */
export type TunnelServiceError = ConnectionLost | TargetUnreached | TunnelIdle

type TunnelError = NotServed | ChannelError | RefusedByRules | TunnelServiceError

/** Makes a service of Server that connects clients to these targets. */
export const service = (
  targets: ReadonlyArray<Target>,
  { idle = limits.idle }: TunnelOptions = {}
): Effect.Effect<Service<TunnelServiceError>, never, Transport> =>
  Effect.map(Transport, (transport) => ({
    name: serviceName,
    takesArgument: true,
    ruleOptions,
    about: (argument) => findTarget(targets, Opening.parseArgument(argument).target)?.name,
    run: (session) => run(session, targets, Duration.decode(idle), transport)
  }))

/** The target of this name; without a name the only target, if there is exactly one. */
const findTarget = (targets: ReadonlyArray<Target>, name: string): Target | undefined =>
  name === ""
    ? targets.length === 1
      ? targets[0]
      : undefined
    : targets.find((target) => target.name === name)

const run = (
  session: ServiceSession,
  targets: ReadonlyArray<Target>,
  idle: Duration.Duration,
  transport: Transport.Shape
): Effect.Effect<void | typeof again, TunnelError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, argument, peerSession } = session
    const { target: name, isReused } = Opening.parseArgument(argument)
    const target = findTarget(targets, name)
    if (target === undefined) {
      const alternatives = targets.map(({ name }) => Opening.once(name))
      return yield* new NotServed({ peer: channel.peer, opening: Opening.once(name), alternatives })
    }
    const refusal = peerSession?.require((rules) =>
      targetRefusal(rules, { name: target.name, address: canonical(target.address) })
    )
    if (refusal !== undefined) return yield* refusal
    yield* channel.sendControl(encode("offered"))
    if (!(yield* awaitGo(session))) return undefined
    const overRate = peerSession && takeConnection(peerSession)
    if (overRate !== undefined) return yield* overRate

    yield* Effect.scoped(forward(session, target, idle, transport, isReused))
    return isReused ? again : undefined
  })

/**
 * Connects to the target and passes bytes both ways. The scope ends with the result of this effect:
 * a failure at any moment after the connection was made resets the target, which then never takes a
 * cut for an end.
 */
const forward = (
  { channel, connection, counters, peerSession, remote }: ServiceSession,
  target: Target,
  idle: Duration.Duration,
  transport: Transport.Shape,
  isReused: boolean
): Effect.Effect<void, TunnelError, Scope.Scope> =>
  Effect.gen(function* () {
    const plain = yield* transport
      .connect(target.address, { loopbackOnly: target.allowRemote !== true })
      .pipe(
        Effect.catchAll((error) =>
          Effect.zipRight(
            channel.sendControl(encode(failureOf(error))),
            new TargetUnreached({ target: target.name, reason: error.message })
          )
        )
      )
    yield* channel.sendControl(encode("connected"))
    if (target.proxyProtocol) plain.flow.write(headerFor({ channel, connection, remote }))
    const traffic = trafficCounter(counters, target.name)
    return yield* splice(
      { peer: `${remote.peer} with ${target.name}`, flow: plain.flow },
      channel,
      {
        onBytes: { toPlain: traffic.toTarget, toChannel: traffic.fromTarget },
        idle,
        endMessage: isReused ? encode("end") : undefined,
        throttle:
          peerSession === undefined ? undefined : (bytes) => throttleMillis(peerSession, bytes)
      }
    )
  })

/** Returns true after `go`; false when the client needs the channel no more, or the server stops. */
const awaitGo = ({ channel, connection }: ServiceSession): Effect.Effect<boolean, ChannelError> =>
  Effect.gen(function* () {
    let stopping = false
    const unsubscribe = connection.onDraining(() => {
      stopping = true
      Effect.runSync(channel.interruptRead)
    })
    const item = yield* Effect.ensuring(channel.read, Effect.sync(unsubscribe))
    if (item === undefined) {
      if (stopping) yield* channel.setCloseReason("GoingAway")
      return false
    }
    if (item instanceof Control && decode(item.body) === "go") return true
    return yield* new ChannelTampered({ peer: channel.peer, detail: "a message other than go" })
  })

const headerFor = ({
  channel,
  connection,
  remote
}: Pick<ServiceSession, "channel" | "connection" | "remote">): Uint8Array =>
  ProxyHeader.encode({
    source: channel.peerAddress,
    destination: connection.local,
    name: remote.peer === remote.from ? undefined : remote.peer
  })

/** The category that the client is told: as much as it would see of a connection of its own. */
const failureOf = ({ reason }: ConnectFailed): FailureReason => failures.get(reason) ?? "failed"

const failures: ReadonlyMap<ConnectFailure, FailureReason> = new Map([
  ["refused", "refused"],
  ["no such socket", "refused"],
  ["timeout", "timeout"],
  ["unreachable", "unreachable"],
  ["no such name", "unreachable"],
  ["no name server", "unreachable"],
  ["elsewhere", "unreachable"]
])
