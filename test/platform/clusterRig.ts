// A cluster in one process: runners that share storages in memory, and speak over the channel.
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

export interface Person {
  readonly identity: KeyPair
  readonly member: SecureCluster.Member
}

/** Somebody with a key; a runner has an address. */
export const person = (name: string, port?: number, rules = rulesOf()): Person => {
  const identity = generate()
  const address = port === undefined ? {} : { address: RunnerAddress.make("127.0.0.1", port) }
  return { identity, member: { name, publicKey: identity.publicKey, rules, ...address } }
}

export const addressOf = ({ member }: Person): RunnerAddress.RunnerAddress =>
  member.address as RunnerAddress.RunnerAddress

/** Says who serves it, and counts what it was told to. */
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

const configOf = ({ member }: Person) =>
  ShardingConfig.layer({
    runnerAddress: Option.fromNullable(member.address),
    shardsPerGroup: 30,
    entityMessagePollInterval: "200 millis",
    entityReplyPollInterval: "50 millis",
    refreshAssignmentsInterval: "50 millis",
    runnerHealthCheckInterval: "200 millis",
    entityTerminationTimeout: "500 millis"
  })

/** What all share. */
export const storages = Layer.build(
  Layer.merge(
    Layer.provide(MessageStorage.layerMemory, ShardingConfig.layerDefaults),
    RunnerStorage.layerMemory
  )
)
export type Storages = Context.Context<MessageStorage.MessageStorage | RunnerStorage.RunnerStorage>

type Options = Omit<SecureCluster.Options, "identity">

/** A runner, as long as the scope. */
export const running = (who: Person, shared: Storages, options: Options) =>
  Layer.build(
    tallies(who.member.name).pipe(
      Layer.provideMerge(SecureCluster.layer({ ...options, identity: who.identity })),
      Layer.provide([Layer.succeedContext(shared), configOf(who), RpcSerialization.layerMsgPack])
    )
  )

/** Who only calls: as a cluster's client, and runner by runner. */
export const calling = (who: Person, shared: Storages, options: Options) =>
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

/** Lines of the log at and above Warning. */
export const overhearing = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel.ordinal >= 30_000) lines.push([message].flat().map(String).join(" "))
  })
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}
