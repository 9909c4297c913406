// The built-in services: their rule options and metrics. A new one is added to each list here.
import type * as OptionSpec from "../../peers/OptionSpec.ts"
import * as Rules from "../../peers/Rules.ts"
import { metrics as inbox } from "../inbox/metrics.ts"
import { metrics as message } from "../messages/metrics.ts"
import { metrics as server } from "../Metrics.ts"
import { metrics as file } from "../transfer/metrics.ts"
import { metrics as tunnelMetrics } from "../tunnel/metrics.ts"
import type { Service } from "../Service.ts"
import * as messages from "../messages/rules.ts"
import * as rpc from "../rpc/rules.ts"
import { bytesPerMinute } from "../rules.ts"
import * as files from "../transfer/rules.ts"
import * as tunnel from "../tunnel/rules.ts"

/** The names of the built-in services. */
export const serviceNames: ReadonlyArray<string> = ["message", "file", "tunnel"]

/**
 * Every option of authorized_peers: those of the core, of the built-in services, and of `others`.
 *
 * @example
 * const peers = yield* PeerReload.follow("./authorized_peers", ruleOptions(chat))
 */
export const ruleOptions = (
  ...others: ReadonlyArray<Pick<Service, "name" | "ruleOptions">>
): ReadonlyArray<OptionSpec.AnyOption> => [
  Rules.from,
  Rules.servicesAmong([...serviceNames, ...others.map(({ name }) => name)]),
  tunnel.targets,
  ...files.ruleOptions,
  ...rpc.ruleOptions,
  Rules.expiry,
  ...messages.ruleOptions,
  bytesPerMinute,
  tunnel.connectionsPerMinute,
  Rules.connections,
  Rules.sharedKey,
  Rules.revoked,
  ...others.flatMap(({ ruleOptions = [] }) => ruleOptions)
]

/** Every metric, by service. */
export const metrics = { server, message, inbox, file, tunnel: tunnelMetrics } as const
