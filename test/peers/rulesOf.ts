// Rules for tests, by the names of the constants that hold their options.
import type { OptionSpec } from "../../src/peers/OptionSpec.ts"
import * as Rules from "../../src/peers/Rules.ts"
import { messagesPerMinute } from "../../src/services/messages/rules.ts"
import { rpcs } from "../../src/services/rpc/rules.ts"
import { bytesPerMinute, memory } from "../../src/services/rules.ts"
import { access, fileQuota, folder, overwrite } from "../../src/services/transfer/rules.ts"
import { connectionsPerMinute, targets } from "../../src/services/tunnel/rules.ts"

const options = {
  from: Rules.from,
  services: Rules.services,
  expires: Rules.expiry,
  connections: Rules.connections,
  sharedKey: Rules.sharedKey,
  revoked: Rules.revoked,
  messagesPerMinute,
  bytesPerMinute,
  memory,
  rpcs,
  access,
  fileQuota,
  folder,
  overwrite,
  connectionsPerMinute,
  targets
}

/** The values of some options. */
export type RuleValues = {
  readonly [Name in keyof typeof options]?: (typeof options)[Name] extends OptionSpec<infer A>
    ? A
    : never
}

/** The rules of a line with these values. */
export const rulesOf = (values: RuleValues = {}, where = "list:1"): Rules.Rules =>
  Object.entries(values).reduce(
    (rules, [name, value]) =>
      rules.with(options[name as keyof typeof options] as OptionSpec<unknown>, value),
    new Rules.Rules(where)
  )
