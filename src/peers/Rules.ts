// The rules of a line of authorized_peers: what its client may do. Services add options of their
// own, in their rules.ts. PEERS.md.
import * as Either from "effect/Either"
import { excerpt } from "../bytes/excerpt.ts"
import * as UtcDate from "../keys/UtcDate.ts"
import * as Network from "./Network.ts"
import * as OptionSpec from "./OptionSpec.ts"
import { isName } from "./PeerName.ts"

/**
 * The rules of one line. An option that is not set restricts nothing. Immutable.
 *
 * @example
 * const rules = Rules.unrestricted.with(Rules.connections, 4)
 * rules.get(Rules.connections) // 4
 */
export class Rules {
  /** The place of the line for logs: "authorized_peers:3". */
  readonly where: string
  readonly options: OptionSpec.OptionValues

  constructor(where: string, options: OptionSpec.OptionValues = new OptionSpec.OptionValues()) {
    this.where = where
    this.options = options
  }

  /** Returns the value of an option; undefined if it is not set. */
  get<A>(option: OptionSpec.OptionSpec<A>): A | undefined {
    return this.options.get(option)
  }

  /** Returns these rules with an option set. */
  with<A>(option: OptionSpec.OptionSpec<A>, value: A): Rules {
    return new Rules(this.where, this.options.with(option, value))
  }

  /** Returns the same rules with another `where`. */
  at(where: string): Rules {
    return new Rules(where, this.options)
  }
}

/** Rules that allow everything. */
export const unrestricted: Rules = new Rules("")

/** The networks that a client may connect from. */
export const from: OptionSpec.OptionSpec<ReadonlyArray<Network.Network>> = {
  name: "from",
  example: "10.0.0.0/8,2001:db8::/32,!10.1.0.0/16",
  summary: "networks it may connect from; ! excludes a network; unix is a Unix socket",
  decode: (value) =>
    Either.flatMap(OptionSpec.decodeList(value, Network.parse), (networks) =>
      networks.every(({ negated }) => negated)
        ? OptionSpec.invalidValue(
            "a list of ! alone matches nothing; add a network to allow, such as 0.0.0.0/0"
          )
        : Either.right(networks)
    ),
  encode: (networks) => networks.map(Network.format).join(",")
}

/** The services that a client may open, of those with these names. */
export const servicesAmong = (
  names: ReadonlyArray<string>
): OptionSpec.OptionSpec<ReadonlyArray<string>> =>
  OptionSpec.list({
    name: "services",
    example: names.join(","),
    summary: "services it may use; default: all",
    decodeEntry: (text) =>
      names.includes(text)
        ? Either.right(text)
        : Either.left(`unknown service ${excerpt(text)}; the services are ${names.join(", ")}`),
    encodeEntry: (name) => name
  })

/** The services that a client may open. Key to the value; `servicesAmong` checks the names. */
export const services: OptionSpec.OptionSpec<ReadonlyArray<string>> = servicesAmong([])

/** The time at which the key expires, in milliseconds since 1970. */
export const expiry: OptionSpec.OptionSpec<number> = {
  name: "expiry-time",
  example: "2027-01-01",
  summary: "time at which its key expires; a date means 00:00 UTC",
  decode: (value) => {
    const expires = UtcDate.parse(value)
    return expires === undefined ? OptionSpec.invalidValue(UtcDate.syntax) : Either.right(expires)
  },
  encode: UtcDate.format
}

/** The number of connections at once, over all keys of the client. */
export const connections: OptionSpec.OptionSpec<number> = OptionSpec.count({
  name: "connections",
  example: "4",
  summary: "maximum number of open connections"
})

/** The name of a shared key of the server that the client needs besides its own key. */
export const sharedKey: OptionSpec.OptionSpec<string> = {
  name: "shared-key",
  example: "backup",
  summary: "name of a shared key of the server that it must hold too",
  decode: (value) =>
    isName(value)
      ? Either.right(value)
      : OptionSpec.invalidValue("not a valid name of a shared key"),
  encode: (name) => name
}

/** Revokes the key permanently. The line stays, so that the key is not added again by mistake. */
export const revoked: OptionSpec.OptionSpec<true> = OptionSpec.flag({
  name: "revoked",
  summary:
    "its key is refused permanently; keep the line, so that the key is not added again by mistake"
})

/** The options that need no service; `services` accepts these names. */
export const coreOptions = (
  serviceNames: ReadonlyArray<string>
): ReadonlyArray<OptionSpec.AnyOption> => [
  from,
  servicesAmong(serviceNames),
  expiry,
  connections,
  sharedKey,
  revoked
]

/** A connection or a session that the rules are checked for. */
export interface Attempt {
  /** Address of the client, as `Connection.peer` has it. */
  readonly from: string
  /** In milliseconds since 1970. */
  readonly now: number
  readonly service?: string | undefined
}

/**
 * Returns why the rules refuse an attempt, as a clause for the log; undefined if they allow it.
 * The client is never told the reason.
 */
export const refusal = (rules: Rules, attempt: Attempt): string | undefined => {
  const { where } = rules
  if (rules.get(revoked)) return `its key is revoked (${where})`
  const expires = rules.get(expiry)
  if (expires !== undefined && attempt.now >= expires)
    return `its key has expired: ${UtcDate.format(expires)} (${where})`
  const networks = rules.get(from)
  if (networks !== undefined && !Network.allows(networks, attempt.from))
    return `its rules allow connections only from ${formatList(networks.map(Network.format))} (${where})`
  const allowed = rules.get(services)
  if (attempt.service !== undefined && allowed?.includes(attempt.service) === false)
    return `its rules allow only the services ${allowed.join(", ")}, not ${attempt.service} (${where})`
  return undefined
}

/** Number of entries of a list that a log line repeats. */
const maxShown = 8

/** Formats a list for a log line: the first entries, and … for the rest. */
export const formatList = (entries: ReadonlyArray<string>): string =>
  [...entries.slice(0, maxShown), ...(entries.length > maxShown ? ["…"] : [])].join(", ")
