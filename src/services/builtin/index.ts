// The built-in services: what each adds to authorized_peers. A new service is a line here.
import type * as OptionSpec from "../../peers/OptionSpec.ts"
import * as Rules from "../../peers/Rules.ts"
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
