// @effect/cluster over the channel: runners connect only to members of one list, each authenticated
// by its key.
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import type { MessageStorage } from "@effect/cluster/MessageStorage"
import * as RunnerHealth from "@effect/cluster/RunnerHealth"
import * as Runners from "@effect/cluster/Runners"
import * as RunnerServer from "@effect/cluster/RunnerServer"
import type { RunnerStorage } from "@effect/cluster/RunnerStorage"
import type { Sharding } from "@effect/cluster/Sharding"
import { ShardingConfig } from "@effect/cluster/ShardingConfig"
import * as Socket from "@effect/platform/Socket"
import type { SocketServerError } from "@effect/platform/SocketServer"
import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import { RpcSerialization } from "@effect/rpc/RpcSerialization"
import type * as RpcServer from "@effect/rpc/RpcServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Secret } from "../bytes/Secret.ts"
import type { Channel } from "../channel/Channel.ts"
import type { HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/HandshakeKeys.ts"
import type { Padding } from "../channel/Padding.ts"
import { credentialsOf, suiteFor, type Suite } from "../channel/Suite.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import { dial } from "../services/Dial.ts"
import { tcp } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import { WarningLog } from "./WarningLog.ts"
import {
  layerCaller,
  layerListedRunners,
  layerRunner,
  MemberList,
  type JoinError,
  type MemberOptions
} from "./MemberList.ts"
import { RunnerRefused, RunnerUnknown, formatAddress, type Members } from "./Members.ts"
import * as SecureRpc from "./SecureRpc.ts"
import * as SecureSocket from "./SecureSocket.ts"
import * as SecureSocketServer from "./SecureSocketServer.ts"

export { type JoinError } from "./MemberList.ts"
export { MembersInvalid, NotAMember, RunnerRefused, RunnerUnknown, type Member } from "./Members.ts"

/** Options of a member of a cluster. */
export interface Options extends MemberOptions {
  /** Shared key of all members: keeps recorded traffic secret even if X25519 is broken later. */
  readonly sharedKey?: Secret
  readonly padding?: Padding
}

/** The application protocol. The handshake fails for a client of another one. */
export const application = "sealwire/cluster/1"

/**
 * Provides a runner instead of `SocketRunner.layer`. It listens at the `runnerListenAddress`
 * (default: `runnerAddress`) of its ShardingConfig, and checks the health of the other runners by
 * ping.
 *
 * - A process that is not in the list fails the handshake. A call that the rules of its member do
 *   not allow ends as a defect.
 * - Each runner must authenticate with the key that the list has for its address. Otherwise a
 *   warning is logged (`RunnerRefused`), and the runner counts as unavailable until a later attempt
 *   succeeds.
 * - A runner that the storage has and the list has not gets no shards.
 *
 * Every process that can write the storage is trusted: it holds messages and locks.
 *
 * @example
 * const runner = SecureCluster.layer({ identity, members }).pipe(
 *   Layer.provide([SqlMessageStorage.layer, SqlRunnerStorage.layer]),
 *   Layer.provide([RpcSerialization.layerMsgPack, Transport.layerNet]),
 *   Layer.provide(
 *     ShardingConfig.layer({
 *       runnerAddress: Option.some(RunnerAddress.make("10.0.0.1", 34431))
 *     })
 *   )
 * )
 */
export const layer = (
  options: Options
): Layer.Layer<Sharding | Runners.Runners, JoinError | SocketServerError, Needs> =>
  RunnerServer.layerWithClients.pipe(
    Layer.provide(RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc))),
    Layer.provide(layerListedRunners),
    Layer.provide(serverProtocol(options)),
    Layer.provide(clientProtocol(options)),
    Layer.provide(layerRunner(options))
  )

/**
 * Provides a member that only calls, instead of `SocketRunner.layerClientOnly`: it does not listen
 * and holds no shards. Its entry in the list needs no address.
 */
export const layerClientOnly = (
  options: Options
): Layer.Layer<Sharding | Runners.Runners, JoinError, Needs> =>
  RunnerServer.layerClientOnly.pipe(
    Layer.provide(layerListedRunners),
    Layer.provide(clientProtocol(options)),
    Layer.provide(layerCaller(options))
  )

/**
 * Provides only the two protocols, for a runner with another composition (for example another
 * RunnerHealth).
 *
 * @example
 * const runner = RunnerServer.layerWithClients.pipe(
 *   Layer.provide(health),
 *   Layer.provide(SecureCluster.layerProtocols(options))
 * )
 */
export const layerProtocols = (
  options: Options
): Layer.Layer<
  RpcServer.Protocol | Runners.RpcClientProtocol,
  JoinError | SocketServerError,
  ShardingConfig | RpcSerialization | Transport
> =>
  Layer.provide(Layer.merge(serverProtocol(options), clientProtocol(options)), layerRunner(options))

/** The requirements of Effect's own runner, and a Transport. */
type Needs = ShardingConfig | RpcSerialization | MessageStorage | RunnerStorage | Transport

const suiteOf = ({ sharedKey }: Options): Suite =>
  suiteFor(credentialsOf(true, sharedKey !== undefined), true)

const serverProtocol = (options: Options) =>
  SecureRpc.layerProtocolByRules.pipe(
    Layer.provide(
      Layer.unwrapEffect(
        Effect.gen(function* () {
          const members = yield* MemberList
          const { runnerAddress, runnerListenAddress } = yield* ShardingConfig
          const { host, port } = Option.getOrThrow(
            Option.orElse(runnerListenAddress, () => runnerAddress)
          )
          const keys: Omit<ServerKeys, "application"> = {
            serverName: "",
            suites: [suiteOf(options)],
            identities: [options.identity],
            authorize: members.authorize,
            ...(options.sharedKey === undefined ? {} : { psks: [{ secret: options.sharedKey }] })
          }
          return SecureSocketServer.layer({
            address: tcp(host, port),
            application,
            keys,
            peers: members.sessions,
            ...(options.padding === undefined ? {} : { padding: options.padding })
          })
        })
      )
    )
  )

const clientProtocol = (
  options: Options
): Layer.Layer<Runners.RpcClientProtocol, never, MemberList | RpcSerialization | Transport> =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function* () {
      const serialization = yield* RpcSerialization
      const transport = yield* Transport
      const members = yield* MemberList
      const warnings = new WarningLog()
      return (address) =>
        Effect.gen(function* () {
          const socket = SecureSocket.fromOpen(
            connect(options, members, address).pipe(
              Effect.tap(() => warnings.clear(formatAddress(address))),
              // The cluster itself logs a runner that is down.
              Effect.tapError((error) =>
                error._tag === "ConnectFailed"
                  ? Effect.void
                  : warnings.warn(formatAddress(address), error.message)
              ),
              Effect.mapError((cause) => new Socket.SocketGenericError({ reason: "Open", cause })),
              Effect.provideService(Transport, transport)
            )
          )
          const protocol = yield* RpcClient.makeProtocolSocket().pipe(
            Effect.provideService(Socket.Socket, whileListed(socket, members, address)),
            Effect.provideService(RpcSerialization, serialization)
          )
          return RpcClient.Protocol.of({
            ...protocol,
            // A defect of one write would end the fiber that forwards all messages.
            send: (request, transferables) =>
              Effect.catchAllDefect(
                protocol.send(request, transferables),
                (cause) =>
                  new RpcClientError({
                    reason: "Protocol",
                    message: `cannot write to ${formatAddress(address)}`,
                    cause
                  })
              )
          })
        })
    })
  )

/** Ends the runs of the socket when the runner leaves the list. */
const whileListed = (
  socket: Socket.Socket,
  members: Members,
  address: RunnerAddress
): Socket.Socket => {
  const removed = Effect.mapError(
    members.untilRemoved(address),
    (cause) => new Socket.SocketGenericError({ reason: "Read", cause })
  )
  const runRaw: Socket.Socket["runRaw"] = (handler, options) =>
    Effect.raceFirst(socket.runRaw(handler, options), removed)
  return Socket.Socket.of({ ...socket, runRaw, run: runRaw as Socket.Socket["run"] })
}

type OpenError = RunnerUnknown | RunnerRefused | ConnectFailed

/** Connects to the runner that the list has at this address now. */
const connect = (
  options: Options,
  members: Members,
  address: RunnerAddress
): Effect.Effect<Channel, OpenError, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const runner = members.at(address)
    if (runner === undefined) return yield* new RunnerUnknown({ address: formatAddress(address) })
    const { identity, sharedKey, padding } = options
    const refused = ({ reason }: HandshakeFailed) =>
      new RunnerRefused({
        runner: runner.name,
        address: formatAddress(address),
        publicKey: PublicKey.encode(runner.publicKey),
        reason
      })
    return yield* dial(
      {
        address: tcp(address.host, address.port),
        application,
        keys: {
          serverName: "",
          identity,
          serverKey: runner.publicKey,
          ...(sharedKey === undefined ? {} : { psk: sharedKey })
        },
        ...(padding === undefined ? {} : { padding })
      },
      ""
    ).pipe(
      Effect.tap(({ ready }) => ready),
      Effect.catchTag("HandshakeFailed", refused)
    )
  })
