// The rules of authorized_peers for rpcs. They are a room of services, and not of platform, because
// the command accepts them in every peers file and imports no adapter.
import * as Either from "effect/Either"
import { excerpt } from "../../bytes/excerpt.ts"
import * as OptionSpec from "../../peers/OptionSpec.ts"
import type { Rules } from "../../peers/Rules.ts"

/** The rpcs that a client may call, by tag; a * at the end stands for any ending. */
export const rpcs: OptionSpec.OptionSpec<ReadonlyArray<string>> = OptionSpec.list({
  name: "rpc",
  example: "User.*,ping",
  summary: "rpcs it may call (SecureRpc, SecureCluster); default: all",
  decodeEntry: (text) =>
    /^[^\s*]+\*?$|^\*$/.test(text)
      ? Either.right(text)
      : Either.left(`invalid rpc ${excerpt(text)}: write a tag, or a prefix with * at its end`),
  encodeEntry: (tag) => tag
})

/** The options that rpcs add to authorized_peers. */
export const ruleOptions: ReadonlyArray<OptionSpec.AnyOption> = [rpcs]

/** Returns whether the rules allow a call of the rpc with this tag. */
export const allowsRpc = (rules: Rules, tag: string): boolean =>
  rules
    .get(rpcs)
    ?.some((one) => (one.endsWith("*") ? tag.startsWith(one.slice(0, -1)) : one === tag)) ?? true
