// The built-in services: their rule options and metrics. A new one is added to each list here.
import type * as OptionSpec from "../../peers/OptionSpec.ts"
import * as Rules from "../../peers/Rules.ts"
import { metrics as inbox } from "../inbox/metrics.ts"
import { metrics as message } from "../messages/metrics.ts"
import * as messages from "../messages/rules.ts"
import { metrics as server } from "../Metrics.ts"
import * as rpc from "../rpc/rules.ts"
import { sharedOptions } from "../rules.ts"
import type { Service } from "../Service.ts"
import { metrics as file } from "../transfer/metrics.ts"
import * as files from "../transfer/rules.ts"
import { metrics as tunnelMetrics } from "../tunnel/metrics.ts"
import * as tunnel from "../tunnel/rules.ts"

const services = [messages, files, tunnel]

/** The names of the built-in services. */
export const serviceNames: ReadonlyArray<string> = services.map(({ name }) => name)

/**
 * Every option of authorized_peers: those of the core, of the built-in services, of rpcs, and of
 * `others`.
 *
 * @example
 * const peers = yield* PeerReload.follow("./authorized_peers", ruleOptions(chat))
 */
export const ruleOptions = (
  ...others: ReadonlyArray<Pick<Service, "name" | "ruleOptions">>
): ReadonlyArray<OptionSpec.AnyOption> => [
  ...Rules.coreOptions([...serviceNames, ...others.map(({ name }) => name)]),
  ...sharedOptions,
  ...[...services, rpc, ...others].flatMap(({ ruleOptions = [] }) => ruleOptions)
]

/** Every metric, by the name of its service, of the server or of the inbox. */
export const metrics = { server, message, inbox, file, tunnel: tunnelMetrics } as const

/** The services that count each target of theirs: an opening names it after the service. */
export const targetedServices: ReadonlyArray<string> = [tunnel.name]
