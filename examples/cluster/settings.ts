// Settings that all processes of the example share: database, list of members, timing of the
// cluster.
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

/** A member in `members.json`. */
export interface Line {
  readonly name: string
  readonly publicKey: string
  /** Local port of a runner. */
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

/** Loads the key of this process from a file that only its user can read. */
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

/** Shorter intervals than the defaults, so that a dead runner is noticed within seconds. */
const configOf = (address: RunnerAddress.RunnerAddress | undefined) =>
  ShardingConfig.layer({
    runnerAddress: Option.fromNullable(address),
    shardsPerGroup: 30,
    entityMessagePollInterval: "500 millis",
    refreshAssignmentsInterval: "500 millis",
    runnerHealthCheckInterval: "1 second",
    // Also bounds the time until the death of the runner that checks the others is noticed.
    shardLockRefreshInterval: "3 seconds",
    shardLockExpiration: "12 seconds",
    entityTerminationTimeout: "2 seconds"
  })

/** Provides the requirements of SecureCluster except the database. */
export const layerNeeds = (address?: RunnerAddress.RunnerAddress) =>
  Layer.mergeAll(
    SqlMessageStorage.layer,
    SqlRunnerStorage.layer,
    RpcSerialization.layerMsgPack,
    Transport.layerNet
  ).pipe(Layer.provideMerge(configOf(address)))
