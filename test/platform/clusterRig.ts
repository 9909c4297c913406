// A cluster in one process: runners that share in-memory storage and connect over the channel.
import * as ClusterSchema from "@effect/cluster/ClusterSchema"
import * as Entity from "@effect/cluster/Entity"
import * as MessageStorage from "@effect/cluster/MessageStorage"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import * as RunnerStorage from "@effect/cluster/RunnerStorage"
import * as Runners from "@effect/cluster/Runners"
import * as Sharding from "@effect/cluster/Sharding"
import * as ShardingConfig from "@effect/cluster/ShardingConfig"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { rulesOf } from "../peers/rulesOf.ts"
import { generate, type KeyPair } from "../../src/keys/KeyPair.ts"
import * as SecureCluster from "../../src/platform/SecureCluster.ts"

export interface TestMember {
  readonly identity: KeyPair
  readonly member: SecureCluster.Member
}

/** A process with a key; with a port it is a runner. */
export const testMember = (name: string, port?: number, rules = rulesOf()): TestMember => {
  const identity = generate()
  const address = port === undefined ? {} : { address: RunnerAddress.make("127.0.0.1", port) }
  return { identity, member: { name, publicKey: identity.publicKey, rules, ...address } }
}

export const addressOf = ({ member }: TestMember): RunnerAddress.RunnerAddress =>
  member.address as RunnerAddress.RunnerAddress

/** An entity that returns the name of its runner, and adds up counts. */
export const Tally = Entity.make("Tally", [
  Rpc.make("servedBy", { success: Schema.String }),
  Rpc.make("add", {
    success: Schema.Number,
    payload: { id: Schema.String, count: Schema.Number },
    primaryKey: ({ id }) => id
  }).annotate(ClusterSchema.Persisted, true)
])

const tallies = (name: string) =>
  Tally.toLayer(
    Effect.sync(() => {
      let total = 0
      return Tally.of({
        servedBy: () => Effect.succeed(name),
        add: ({ payload: { count } }) => Effect.sync(() => (total += count))
      })
    })
  )

const configOf = ({ member }: TestMember) =>
  ShardingConfig.layer({
    runnerAddress: Option.fromNullable(member.address),
    shardsPerGroup: 30,
    entityMessagePollInterval: "200 millis",
    entityReplyPollInterval: "50 millis",
    refreshAssignmentsInterval: "50 millis",
    runnerHealthCheckInterval: "200 millis",
    entityTerminationTimeout: "500 millis"
  })

/** The storage that all processes share. */
export const storages = Layer.build(
  Layer.merge(
    Layer.provide(MessageStorage.layerMemory, ShardingConfig.layerDefaults),
    RunnerStorage.layerMemory
  )
)
export type Storages = Context.Context<MessageStorage.MessageStorage | RunnerStorage.RunnerStorage>

type Options = Omit<SecureCluster.Options, "identity">

/** Starts a runner, until the scope closes. */
export const running = (who: TestMember, shared: Storages, options: Options) =>
  Layer.build(
    tallies(who.member.name).pipe(
      Layer.provideMerge(SecureCluster.layer({ ...options, identity: who.identity })),
      Layer.provide([Layer.succeedContext(shared), configOf(who), RpcSerialization.layerMsgPack])
    )
  )

/** Starts a member that only calls: entities, or runners by ping. */
export const calling = (who: TestMember, shared: Storages, options: Options) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      SecureCluster.layerClientOnly({ ...options, identity: who.identity }).pipe(
        Layer.provide([Layer.succeedContext(shared), configOf(who), RpcSerialization.layerMsgPack])
      )
    )
    const tally = yield* Effect.provide(Tally.client, context)
    const { ping } = Context.get(context, Runners.Runners)
    return { tally, ping, sharding: Context.get(context, Sharding.Sharding) }
  })

/** Records the log lines at level Warning and above. */
export const recordWarnings = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel.ordinal >= 30_000) lines.push([message].flat().map(String).join(" "))
  })
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}
