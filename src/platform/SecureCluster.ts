// @effect/cluster over the channel: its runners hear, and call, only members of one list, each by its key.
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import type { MessageStorage } from "@effect/cluster/MessageStorage"
import * as RunnerHealth from "@effect/cluster/RunnerHealth"
import * as Runners from "@effect/cluster/Runners"
import * as RunnerServer from "@effect/cluster/RunnerServer"
import { RunnerStorage } from "@effect/cluster/RunnerStorage"
import type { Sharding } from "@effect/cluster/Sharding"
import { ShardingConfig } from "@effect/cluster/ShardingConfig"
import * as Socket from "@effect/platform/Socket"
import type { SocketServerError } from "@effect/platform/SocketServer"
import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import { RpcSerialization } from "@effect/rpc/RpcSerialization"
import type * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Secret } from "../bytes/Secret.ts"
import type { Channel } from "../channel/Channel.ts"
import type { HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/Handshake.ts"
import type { Padding } from "../channel/Padding.ts"
import { suiteFor, type Suite } from "../channel/Suite.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import { dial } from "../services/Dial.ts"
import { tcp } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import { Complaints } from "./Complaints.ts"
import {
  Members,
  NotAMember,
  RunnerRefused,
  RunnerUnknown,
  textOf,
  type Member,
  type MembersInvalid
} from "./Members.ts"
import * as SecureRpc from "./SecureRpc.ts"
import * as SecureSocket from "./SecureSocket.ts"
import * as SecureSocketServer from "./SecureSocketServer.ts"

export { MembersInvalid, NotAMember, RunnerRefused, RunnerUnknown, type Member } from "./Members.ts"

/** Who this runner is, and who the others are. */
export interface Options {
  /** This process's key pair. */
  readonly identity: KeyPair
  /** Who is in the cluster, this process too; the same list for all. */
  readonly members: ReadonlyArray<Member>
  /** Later lists, each in the place of the one before: who is not in it any more is cut off. One that cannot be used is logged, and changes nothing. */
  readonly changes?: Stream.Stream<ReadonlyArray<Member>>
  /** A second factor, which all members hold: what is recorded now stays closed when X25519 is broken later. */
  readonly sharedKey?: Secret
  readonly padding?: Padding
}

/** The application protocol of the prologue: what speaks another one gets no further than the handshake. */
export const application = "sealwire/cluster/1"

/**
 * A runner, in the place of `SocketRunner.layer`: it listens where its ShardingConfig says (`runnerListenAddress`, else `runnerAddress`) and pings
 * the others to see whether they live.
 *
 * - Who is not in the list gets no further than the handshake; a call that its member's rules do not allow ends as a defect.
 * - Each address is called with the key that the list has for it. What else answers there is not spoken to, and a line in the log says so
 *   (`RunnerRefused`); the runner is then unavailable, as one that is down, and tried again.
 * - A runner that the storage has and the list has not is given no shards.
 *
 * Who may write the storage is trusted: it holds messages and locks.
 *
 * @example
 * const runner = SecureCluster.layer({ identity, members }).pipe(
 *   Layer.provide([SqlMessageStorage.layer, SqlRunnerStorage.layer, RpcSerialization.layerMsgPack, Transport.layerNet]),
 *   Layer.provide(ShardingConfig.layer({ runnerAddress: Option.some(RunnerAddress.make("10.0.0.1", 34431)) }))
 * )
 */
export const layer = (
  options: Options
): Layer.Layer<Sharding | Runners.Runners, JoinError | SocketServerError, Needs> =>
  RunnerServer.layerWithClients.pipe(
    Layer.provide(RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc))),
    Layer.provide(layerListed),
    Layer.provide(serverProtocol(options)),
    Layer.provide(clientProtocol(options)),
    Layer.provide(asRunner(options))
  )

/**
 * A member that only calls, in the place of `SocketRunner.layerClientOnly`: it listens nowhere and holds no shards. Its member of the list
 * needs no address.
 */
export const layerClientOnly = (
  options: Options
): Layer.Layer<Sharding | Runners.Runners, JoinError, Needs> =>
  RunnerServer.layerClientOnly.pipe(
    Layer.provide(layerListed),
    Layer.provide(clientProtocol(options)),
    Layer.provide(asCaller(options))
  )

/**
 * The two protocols alone, for a runner of one's own composition (another RunnerHealth, say):
 * `RunnerServer.layerWithClients.pipe(Layer.provide(health), Layer.provide(SecureCluster.layerProtocols(options)))`.
 */
export const layerProtocols = (
  options: Options
): Layer.Layer<
  RpcServer.Protocol | Runners.RpcClientProtocol,
  JoinError | SocketServerError,
  ShardingConfig | RpcSerialization | Transport
> => Layer.provide(Layer.merge(serverProtocol(options), clientProtocol(options)), asRunner(options))

/** Why a process cannot take its place. */
export type JoinError = MembersInvalid | NotAMember

/** What Effect's own runner needs too, and a Transport. */
type Needs = ShardingConfig | RpcSerialization | MessageStorage | RunnerStorage | Transport

/** The list of now. */
class Listed extends Context.Tag("sealwire/platform/SecureCluster/Listed")<Listed, Members>() {}

const membersOf = ({
  identity,
  members: first,
  changes = Stream.empty
}: Options): Effect.Effect<Members, JoinError, Scope.Scope> =>
  Effect.gen(function* () {
    const members = yield* Members.make(first)
    if (!members.has(identity.publicKey))
      return yield* notAMember(identity, "its key is not in the list of members")
    yield* changes.pipe(
      Stream.runForEach((next) =>
        Either.match(members.replace(next), {
          onLeft: ({ message }) => Effect.logError(`${message}; the one before stays in force`),
          onRight: () => Effect.void
        })
      ),
      Effect.forkScoped
    )
    return members
  })

const asCaller = (options: Options): Layer.Layer<Listed, JoinError> =>
  Layer.scoped(Listed, membersOf(options))

const asRunner = (options: Options): Layer.Layer<Listed, JoinError, ShardingConfig> =>
  Layer.scoped(
    Listed,
    Effect.gen(function* () {
      const { identity } = options
      const members = yield* membersOf(options)
      const { runnerAddress } = yield* ShardingConfig
      if (Option.isNone(runnerAddress))
        return yield* notAMember(
          identity,
          "its ShardingConfig has no runnerAddress; what only calls is a layerClientOnly"
        )
      const here = members.at(runnerAddress.value)
      if (here === undefined)
        return yield* notAMember(
          identity,
          `its address, ${textOf(runnerAddress.value)}, is not in the list of members`
        )
      if (Buffer.compare(here.publicKey, identity.publicKey) !== 0)
        return yield* notAMember(
          identity,
          `in the list of members ${textOf(runnerAddress.value)} is ${here.name}, with another key`
        )
      return members
    })
  )

const notAMember = ({ publicKey }: KeyPair, detail: string) =>
  new NotAMember({ publicKey: PublicKey.encode(publicKey), detail })

/** Runners that are in the storage, and not in the list, are as if they were not there. */
const layerListed: Layer.Layer<RunnerStorage, never, RunnerStorage | Listed | ShardingConfig> =
  Layer.effect(
    RunnerStorage,
    Effect.gen(function* () {
      const storage = yield* RunnerStorage
      const members = yield* Listed
      const { runnerAddress } = yield* ShardingConfig
      const complaints = new Complaints()
      // Without itself a runner registers for ever.
      const isListed = (address: RunnerAddress) =>
        members.at(address) !== undefined || Option.exists(runnerAddress, Equal.equals(address))
      return RunnerStorage.of({
        ...storage,
        getRunners: Effect.tap(storage.getRunners, (runners) =>
          Effect.forEach(
            runners.filter(([{ address }]) => !isListed(address)),
            ([{ address }]) =>
              complaints.of(
                textOf(address),
                new RunnerUnknown({ address: textOf(address) }).message
              ),
            { discard: true }
          )
        ).pipe(Effect.map((runners) => runners.filter(([{ address }]) => isListed(address))))
      })
    })
  )

/** Both are on the menu. */
const suiteOf = ({ sharedKey }: Options): Suite =>
  suiteFor({
    hasIdentities: true,
    hasSharedKey: sharedKey !== undefined,
    hasServerKey: true
  }) as Suite

const serverProtocol = (options: Options) =>
  SecureRpc.layerProtocolByRules.pipe(
    Layer.provide(
      Layer.unwrapEffect(
        Effect.gen(function* () {
          const members = yield* Listed
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
): Layer.Layer<Runners.RpcClientProtocol, never, Listed | RpcSerialization | Transport> =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function* () {
      const serialization = yield* RpcSerialization
      const transport = yield* Transport
      const members = yield* Listed
      const complaints = new Complaints()
      return (address) =>
        Effect.gen(function* () {
          const socket = SecureSocket.fromOpen(
            opened(options, members, address).pipe(
              Effect.tap(() => complaints.mended(textOf(address))),
              // A runner that is down is not worth a line: the cluster says so itself.
              Effect.tapError((error) =>
                error._tag === "ConnectFailed"
                  ? Effect.void
                  : complaints.of(textOf(address), error.message)
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
            // A defect of one write would end who only passes messages on.
            send: (request, transferables) =>
              Effect.catchAllDefect(
                protocol.send(request, transferables),
                (cause) =>
                  new RpcClientError({
                    reason: "Protocol",
                    message: `${textOf(address)} was not written to`,
                    cause
                  })
              )
          })
        })
    })
  )

/** The socket, whose runs end when the runner's place in the list does. */
const whileListed = (
  socket: Socket.Socket,
  members: Members,
  address: RunnerAddress
): Socket.Socket => {
  const left = Effect.mapError(
    members.left(address),
    (cause) => new Socket.SocketGenericError({ reason: "Read", cause })
  )
  const runRaw: Socket.Socket["runRaw"] = (handler, options) =>
    Effect.raceFirst(socket.runRaw(handler, options), left)
  return Socket.Socket.of({ ...socket, runRaw, run: runRaw as Socket.Socket["run"] })
}

type OpenError = RunnerUnknown | RunnerRefused | ConnectFailed

/** A channel to the runner that belongs to this address now. */
const opened = (
  options: Options,
  members: Members,
  address: RunnerAddress
): Effect.Effect<Channel, OpenError, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const runner = members.at(address)
    if (runner === undefined) return yield* new RunnerUnknown({ address: textOf(address) })
    const { identity, sharedKey, padding } = options
    const refused = ({ reason }: HandshakeFailed) =>
      new RunnerRefused({
        runner: runner.name,
        address: textOf(address),
        publicKey: PublicKey.encode(runner.publicKey),
        reason
      })
    return yield* dial(
      {
        address: tcp(address.host, address.port),
        application,
        keys: {
          serverName: "",
          suite: suiteOf(options),
          identity,
          serverKey: runner.publicKey,
          ...(sharedKey === undefined ? {} : { psk: sharedKey })
        },
        checkServer: () => Effect.void,
        ...(padding === undefined ? {} : { padding })
      },
      ""
    ).pipe(
      Effect.tap(({ ready }) => ready),
      Effect.catchTag("HandshakeFailed", refused)
    )
  })
