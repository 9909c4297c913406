// The rules of authorized_peers for tunnels.
import * as Either from "effect/Either"
import { protocolLimits } from "../../channel/limits.ts"
import * as OptionSpec from "../../peers/OptionSpec.ts"
import * as PeerName from "../../peers/PeerName.ts"
import { formatList, type Rules } from "../../peers/Rules.ts"
import * as Address from "../../transports/Address.ts"
import { RefusedByRules, type PeerSession } from "../PeerSessions.ts"

/** The name of the service, in openings and in `services="…"`. */
export const name = "tunnel"

/** Longest name of a target, in bytes: what the opening "tunnel NAME" leaves for it. */
const targetNameBytes = protocolLimits.openingBytes - Buffer.byteLength(`${name} `)

/** True for a name that a server can give a target, and a client can ask for. */
export const isTargetName = (text: string): boolean =>
  PeerName.isName(text) && Buffer.byteLength(text) <= targetNameBytes

/** Describes a valid name of a target, for errors. */
export const expectedTargetName = `${PeerName.expected}, and ${targetNameBytes} bytes`

/** The targets that a client may reach, by name or by address. */
export const targets: OptionSpec.OptionSpec<ReadonlyArray<string>> = OptionSpec.list({
  name: "target",
  example: "postgres,127.0.0.1:6379",
  summary: "targets its tunnels may reach, by name or address",
  decodeEntry: (text) =>
    /\s/.test(text) ? Either.left("a target contains no whitespace") : Either.right(text),
  encodeEntry: (target) => target
})

/** The number of connections that a client may make through its tunnels in a minute. */
export const connectionsPerMinute: OptionSpec.OptionSpec<number> = OptionSpec.count({
  name: "connections-per-minute",
  example: "600",
  summary: "maximum number of new tunnel connections per minute"
})

/** The options that the service adds to authorized_peers. */
export const ruleOptions: ReadonlyArray<OptionSpec.AnyOption> = [targets, connectionsPerMinute]

/** Returns why the rules refuse a target, as a clause for the log; undefined if they allow it. */
export const targetRefusal = (
  rules: Rules,
  target: { readonly name: string; readonly address: string }
): string | undefined => {
  const allowed = rules.get(targets)
  return allowed === undefined ||
    allowed.some((one) => one === target.name || Address.canonicalText(one) === target.address)
    ? undefined
    : `its rules allow only the targets ${formatList(allowed)}, not ${target.name} (${rules.where})`
}

/** Counts a connection. Returns the error if it exceeds the allowance of its minute. */
export const takeConnection = (session: PeerSession): RefusedByRules | undefined => {
  const allowance = session.allowance(connectionsPerMinute)
  if (allowance === undefined) return undefined
  if (allowance.left < 1) {
    const rules = session.rules()
    return new RefusedByRules({
      peer: session.name(),
      reason: `it exceeds ${rules.get(connectionsPerMinute)} connections per minute (${rules.where})`
    })
  }
  allowance.spend(1)
  return undefined
}
