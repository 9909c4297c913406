// What all processes of the example share: the database, the list of members, how quick the cluster is.
import { readFileSync } from "node:fs"
import path from "node:path"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import * as ShardingConfig from "@effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "@effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "@effect/cluster/SqlRunnerStorage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Identity, KeyStore, PublicKey, Transport } from "sealwire"
import type { SecureCluster } from "sealwire/cluster"

/** A member as `members.json` has it. */
export interface Line {
  readonly name: string
  readonly publicKey: string
  /** Of a runner, on this machine. */
  readonly port?: number
}

export const memberOf = ({ name, publicKey, port }: Line): SecureCluster.Member => ({
  name,
  publicKey: PublicKey.decode(publicKey) ?? new Uint8Array(0),
  ...(port === undefined ? {} : { address: RunnerAddress.make("127.0.0.1", port) })
})

export const membersIn = (folder: string): ReadonlyArray<SecureCluster.Member> =>
  (JSON.parse(readFileSync(path.join(folder, "members.json"), "utf8")) as ReadonlyArray<Line>).map(
    memberOf
  )

const keyFile = (folder: string, name: string) =>
  KeyStore.layerFile(path.join(folder, `${name}.key`))

/** The key of this process: in a file that only its user can read. */
export const identityOf = (folder: string, name: string) =>
  Effect.flatMap(KeyStore, (store) => store.load(Identity)).pipe(
    Effect.provide(keyFile(folder, name))
  )

export const createIdentity = (folder: string, name: string) =>
  Effect.flatMap(KeyStore, (store) => store.create(Identity)).pipe(
    Effect.provide(keyFile(folder, name))
  )

export const databaseAt = (url: string) =>
  PgClient.layer({ url: Redacted.make(url), maxConnections: 8 })

/** Quicker than the defaults, so that the example need not wait a minute until a dead runner is missed. */
const configOf = (address: RunnerAddress.RunnerAddress | undefined) =>
  ShardingConfig.layer({
    runnerAddress: Option.fromNullable(address),
    shardsPerGroup: 30,
    entityMessagePollInterval: "500 millis",
    refreshAssignmentsInterval: "500 millis",
    runnerHealthCheckInterval: "1 second",
    // The runner that looks after the others' health may be the one that dies: then its silence tells.
    shardLockRefreshInterval: "3 seconds",
    shardLockExpiration: "12 seconds",
    entityTerminationTimeout: "2 seconds"
  })

/** All that a SecureCluster needs but the database. */
export const layerNeeds = (address?: RunnerAddress.RunnerAddress) =>
  Layer.mergeAll(
    SqlMessageStorage.layer,
    SqlRunnerStorage.layer,
    RpcSerialization.layerMsgPack,
    Transport.layerNet
  ).pipe(Layer.provideMerge(configOf(address)))
