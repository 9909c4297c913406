// The server's side of tunnels: what a client asks for -> a target -> bytes both ways. TUNNEL.md.
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Control } from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { format, type Address } from "../../transports/Address.ts"
import { Transport } from "../../transports/Transport.ts"
import type {
  ConnectFailed,
  ConnectFailure,
  ConnectionLost
} from "../../transports/TransportErrors.ts"
import * as Metrics from "../Metrics.ts"
import * as ProxyHeader from "./ProxyHeader.ts"
import { RefusedByRules } from "../PeerSessions.ts"
import { NotServed, opening, type Counted, type Service, type Session } from "../Service.ts"
import { splice, type TunnelIdle } from "./Splice.ts"
import { decode, encode, type Reason } from "./Messages.ts"

/** Every bound of tunnels, by name. */
export const limits = {
  /** Nothing goes through a connection for so long, and it is ended. */
  idle: "24 hours",
  /** How long what a peer sends is held up at most before it is looked again whether its rules allow more. */
  holdMillis: 1000
} as const

/** What the server lets its clients reach. */
export interface Target {
  readonly name: string
  readonly address: Address
  /** Another machine may be meant, and what goes there goes in clear. Without it a name must lead to this machine each time. */
  readonly anywhere?: boolean
  /** The target is told who is there before anything else: ProxyHeader. */
  readonly proxyProtocol?: boolean
}

/** The target did not take the connection. The client is told the reason's category, the log why. */
export class TargetUnreached extends Data.TaggedError("TargetUnreached")<{
  readonly target: string
  readonly reason: string
}> {
  override get message(): string {
    return `its target ${this.target} was not reached: ${this.reason}`
  }
}

/** How its connections are kept. */
export interface TunnelOptions {
  readonly idle?: Duration.DurationInput
}

type TunnelError =
  | NotServed
  | ChannelError
  | ConnectionLost
  | RefusedByRules
  | TargetUnreached
  | TunnelIdle

/** A service of Server that leads to these targets. */
export const service = (
  targets: ReadonlyArray<Target>,
  { idle = limits.idle }: TunnelOptions = {}
): Effect.Effect<Service, never, Transport> =>
  Effect.map(Transport, (transport) => ({
    name: "tunnel",
    about: (argument) => targetFor(targets, argument)?.name,
    run: (session) => run(session, targets, Duration.decode(idle), transport)
  }))

const targetFor = (targets: ReadonlyArray<Target>, name: string): Target | undefined =>
  name === ""
    ? targets.length === 1
      ? targets[0]
      : undefined
    : targets.find((one) => one.name === name)

const run = (
  session: Session,
  targets: ReadonlyArray<Target>,
  idle: Duration.Duration,
  transport: Transport.Shape
): Effect.Effect<void, TunnelError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, argument, counted, seat, sender } = session
    const target = targetFor(targets, argument)
    if (target === undefined) {
      const instead = targets.map(({ name }) => opening("tunnel", name))
      return yield* new NotServed({ peer: channel.peer, opening: channel.opening, instead })
    }
    const refused = seat?.reach({ name: target.name, address: format(target.address) })
    if (refused !== undefined) return yield* refused
    yield* channel.sendControl(encode("offered"))
    if (!(yield* told(session))) return undefined
    const late = seat?.connect()
    if (late !== undefined) return yield* late

    const plain = yield* transport
      .connect(target.address, { loopbackOnly: target.anywhere !== true })
      .pipe(
        Effect.catchAll((error) =>
          Effect.zipRight(
            channel.sendControl(encode(reasonOf(error))),
            new TargetUnreached({ target: target.name, reason: error.message })
          )
        )
      )
    yield* channel.sendControl(encode("connected"))
    if (target.proxyProtocol) plain.flow.write(headerFor(session))
    const moved = counting(counted, target.name)
    return yield* splice(
      { peer: `${sender.peer} with ${target.name}`, flow: plain.flow },
      channel,
      {
        moved: { toPlain: moved.in, toChannel: moved.out },
        idle,
        hold:
          seat === undefined ? undefined : (bytes) => (seat.spend(bytes) ? 0 : limits.holdMillis)
      }
    )
  })

const figuresOf = (target: string) =>
  [
    Metrics.ofTarget("tunnelConnections", target),
    Metrics.ofTarget("tunnelBytesIn", target),
    Metrics.ofTarget("tunnelBytesOut", target)
  ] as const

/** Counts connections, and bytes towards the target and from it, as the status and the log show them. */
export const counting = (counted: Counted, target = "") => {
  const [connections, towards, back] = figuresOf(target)
  connections(1)
  counted.connections = 1
  counted.bytesIn = 0
  counted.bytesOut = 0
  return {
    /** So many more towards the target. */
    in: (bytes: number) => {
      towards(bytes)
      counted.bytesIn = (counted.bytesIn ?? 0) + bytes
    },
    /** So many more from it. */
    out: (bytes: number) => {
      back(bytes)
      counted.bytesOut = (counted.bytesOut ?? 0) + bytes
    }
  }
}

/** True when the client has said go; false when it wants nothing after all, or this server stops. */
const told = ({ channel, connection }: Session): Effect.Effect<boolean, ChannelError> =>
  Effect.gen(function* () {
    let stopping = false
    const stop = connection.onDraining(() => {
      stopping = true
      Effect.runSync(channel.interruptRead)
    })
    const item = yield* Effect.ensuring(channel.read, Effect.sync(stop))
    if (item === undefined) {
      if (stopping) yield* channel.setCloseReason("GoingAway")
      return false
    }
    if (item instanceof Control && decode(item.body) === "go") return true
    return yield* new ChannelTampered({ peer: channel.peer, detail: "a message other than go" })
  })

const headerFor = ({ channel, connection, sender }: Session): Uint8Array =>
  ProxyHeader.encode({
    source: channel.peerAddress,
    destination: connection.local,
    name: sender.peer === sender.from ? undefined : sender.peer
  })

/** What the client is told: as much as it would see of a connection of its own. */
const reasonOf = ({ reason }: ConnectFailed): Reason => reasons.get(reason) ?? "failed"

const reasons: ReadonlyMap<ConnectFailure, Reason> = new Map([
  ["refused", "refused"],
  ["no such socket", "refused"],
  ["timeout", "timeout"],
  ["unreachable", "unreachable"],
  ["no such name", "unreachable"],
  ["elsewhere", "unreachable"]
])
