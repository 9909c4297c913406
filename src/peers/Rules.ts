// What a line of authorized_peers allows its peer. keys/PEERS.md.
import * as Either from "effect/Either"
import * as UtcDate from "../keys/UtcDate.ts"
import * as Network from "./Network.ts"
import * as OptionSpec from "./OptionSpec.ts"
import { isName } from "./PeerName.ts"
import { excerpt } from "../bytes/excerpt.ts"

/** What a peer may ask for, each with what that is. */
export const services = {
  message: "messages, as sealwire send sends them",
  file: "files, both ways",
  tunnel: "connections to its targets"
} as const
/** What a session can be opened for. */
export type Service = keyof typeof services

/** What a peer may do with files. */
export const accesses = ["read", "write"] as const
/** One of them. */
export type Access = (typeof accesses)[number]

/** What a line of a peer says of files. */
export interface FileRules {
  /** Where the line stands, for logs. */
  readonly where?: string
  /** Its own folder, below the one that is served. */
  readonly folder?: string
  readonly access?: ReadonlyArray<Access>
  /** Bytes that may lie in its folder. */
  readonly fileQuota?: number
  /** It may put a file in the place of another. */
  readonly overwrite?: true
}

/** What is not there is not limited. */
export interface Rules extends FileRules {
  /** Where the line stands, for logs: "authorized_peers:3". */
  readonly where: string
  readonly from?: ReadonlyArray<Network.Network>
  readonly services?: ReadonlyArray<Service>
  /** Where its tunnels may lead: names of targets, or addresses as they are written there. */
  readonly targets?: ReadonlyArray<string>
  /** The rpcs it may call, by their tags; a * at the end stands for any. */
  readonly rpcs?: ReadonlyArray<string>
  /** The moment from which on its key is not let in, in milliseconds since 1970. */
  readonly expires?: number
  readonly messagesPerMinute?: number
  readonly bytesPerMinute?: number
  /** Through its tunnels. */
  readonly connectionsPerMinute?: number
  /** At once. */
  readonly connections?: number
  /** The name of the server's shared key that it needs as well. */
  readonly sharedKey?: string
  readonly revoked?: true
}

/** What a peer is about to do. */
export interface Attempt {
  /** Where it comes from, as a Connection says it. */
  readonly from: string
  /** In milliseconds since 1970. */
  readonly now: number
  readonly service?: Service
  /** Where its tunnel leads, as the server names it and where that is. */
  readonly target?: Target
}

/** Where a tunnel leads. */
export interface Target {
  readonly name: string
  readonly address: string
}

/** Why the rules refuse this, as a clause for the log; undefined where they allow it. The peer is never told. */
export const refusal = (
  rules: Rules,
  { from, now, service, target }: Attempt
): string | undefined => {
  const { where } = rules
  if (rules.revoked) return `its key is revoked (${where})`
  if (rules.expires !== undefined && now >= rules.expires)
    return `its key has expired: ${UtcDate.format(rules.expires)} (${where})`
  if (rules.from !== undefined && !Network.allows(rules.from, from))
    return `its line allows it from ${few(rules.from.map(Network.format))} only (${where})`
  if (service !== undefined && rules.services?.includes(service) === false)
    return `its line allows it ${rules.services.join(", ")} only, not ${service} (${where})`
  if (
    target !== undefined &&
    rules.targets?.some((one) => one === target.name || one === target.address) === false
  )
    return `its line allows it the targets ${few(rules.targets)} only, not ${target.name} (${where})`
  return undefined
}

/** Whether the rules allow a call of this rpc. */
export const allowsRpc = ({ rpcs }: Pick<Rules, "rpcs">, tag: string): boolean =>
  rpcs?.some((one) => (one.endsWith("*") ? tag.startsWith(one.slice(0, -1)) : one === tag)) ?? true

/** How many entries of a list a log line repeats. */
const mostShown = 8

const few = (entries: ReadonlyArray<string>): string =>
  [...entries.slice(0, mostShown), ...(entries.length > mostShown ? ["…"] : [])].join(", ")

/** The options, each as a line holds it. */
export const format = (rules: Partial<Rules>): ReadonlyArray<string> =>
  OptionSpec.format(options, rules)

type RulesOption = OptionSpec.OptionSpec<Omit<Rules, "where">>

/** Every option of authorized_peers. */
export const options: ReadonlyArray<RulesOption> = [
  {
    name: "from",
    example: "10.0.0.0/8,2001:db8::/32,!10.1.0.0/16",
    summary:
      "the networks it may come from; ! refuses, whatever else matches; unix is a Unix socket",
    read: (value) =>
      Either.flatMap(OptionSpec.listOf(value, Network.parse), (from) =>
        from.every(({ negated }) => negated)
          ? wrong(
              "a list of ! alone lets nobody in; name a network to let in as well, such as 0.0.0.0/0"
            )
          : Either.right({ from })
      ),
    write: ({ from }) => from?.map(Network.format).join(",")
  },
  {
    name: "services",
    example: Object.keys(services).join(","),
    summary: "what it may ask for; without it, everything",
    read: (value) =>
      Either.map(
        OptionSpec.listOf(value, (text) =>
          isService(text)
            ? Either.right(text)
            : Either.left(
                `${excerpt(text)} is no service; there are ${Object.keys(services).join(", ")}`
              )
        ),
        (services) => ({ services })
      ),
    write: ({ services }) => services?.join(",")
  },
  {
    name: "target",
    example: "postgres,127.0.0.1:6379",
    summary: "where its tunnels may lead: names or addresses of serve --forward",
    read: (value) =>
      Either.map(
        OptionSpec.listOf(value, (text) =>
          /\s/.test(text) ? Either.left("a target has no blank in it") : Either.right(text)
        ),
        (targets) => ({ targets })
      ),
    write: ({ targets }) => targets?.join(",")
  },
  {
    name: "folder",
    example: "alice",
    summary: "its own folder for files, in the one that is served; without it, all of that",
    read: (value) =>
      /^[^/\\\u0000-\u001f\u007f]+(?:\/[^/\\\u0000-\u001f\u007f]+)*$/.test(value) &&
      !value.split("/").some((name) => name === "." || name === "..")
        ? Either.right({ folder: value })
        : wrong("this is not a folder below another: names with / between them"),
    write: ({ folder }) => folder
  },
  {
    name: "access",
    example: "read,write",
    summary: "what it may do with files; without it, both",
    read: (value) =>
      Either.map(
        OptionSpec.listOf(value, (text) =>
          isAccess(text)
            ? Either.right(text)
            : Either.left(`${excerpt(text)} is no access; there are ${accesses.join(", ")}`)
        ),
        (access) => ({ access })
      ),
    write: ({ access }) => access?.join(",")
  },
  {
    name: "file-quota",
    example: "20G",
    summary:
      "how many bytes of files may lie in its folder, each file, folder and link counted as 4 KiB more; what is more is refused",
    read: (value) => Either.map(bytesOf(value), (fileQuota) => ({ fileQuota })),
    write: ({ fileQuota }) => (fileQuota === undefined ? undefined : inUnits(fileQuota))
  },
  {
    name: "overwrite",
    example: undefined,
    summary: "it may put a file in the place of another (push --overwrite)",
    read: () => Either.right({ overwrite: true }),
    write: ({ overwrite }) => (overwrite ? "" : undefined)
  },
  {
    name: "rpc",
    example: "User.*,ping",
    summary:
      "the calls it may make where a program serves rpcs (SecureRpc, SecureCluster); without it, all",
    read: (value) =>
      Either.map(
        OptionSpec.listOf(value, (text) =>
          /^[^\s*]+\*?$|^\*$/.test(text)
            ? Either.right(text)
            : Either.left(`${excerpt(text)} names no rpc: a tag, with * at its end for any`)
        ),
        (rpcs) => ({ rpcs })
      ),
    write: ({ rpcs }) => rpcs?.join(",")
  },
  {
    name: "expiry-time",
    example: "2027-01-01",
    summary: "from then on its key is not let in; a date is its first moment, in UTC",
    read: (value) => {
      const expires = UtcDate.parse(value)
      return expires === undefined ? wrong(UtcDate.syntax) : Either.right({ expires })
    },
    write: ({ expires }) => (expires === undefined ? undefined : UtcDate.format(expires))
  },
  {
    name: "messages-per-minute",
    example: "600",
    summary: "how many messages it may send in a minute",
    read: (value) => Either.map(countOf(value), (messagesPerMinute) => ({ messagesPerMinute })),
    write: ({ messagesPerMinute }) => messagesPerMinute?.toString()
  },
  {
    name: "bytes-per-minute",
    example: "10M",
    summary: "how many bytes; K, M, G are 1024, its square, its cube",
    read: (value) => Either.map(bytesOf(value), (bytesPerMinute) => ({ bytesPerMinute })),
    write: ({ bytesPerMinute }) =>
      bytesPerMinute === undefined ? undefined : inUnits(bytesPerMinute)
  },
  {
    name: "connections-per-minute",
    example: "600",
    summary: "how many connections it may make through its tunnels in a minute",
    read: (value) =>
      Either.map(countOf(value), (connectionsPerMinute) => ({ connectionsPerMinute })),
    write: ({ connectionsPerMinute }) => connectionsPerMinute?.toString()
  },
  {
    name: "connections",
    example: "4",
    summary: "how many connections at once",
    read: (value) => Either.map(countOf(value), (connections) => ({ connections })),
    write: ({ connections }) => connections?.toString()
  },
  {
    name: "shared-key",
    example: "backup",
    summary: "the name of the server's shared key that it needs as well",
    read: (value) =>
      isName(value)
        ? Either.right({ sharedKey: value })
        : wrong("this is not the name of a shared key"),
    write: ({ sharedKey }) => sharedKey
  },
  {
    name: "revoked",
    example: undefined,
    summary:
      "its key is never let in again; the line stays, so that the key is not added back by mistake",
    read: () => Either.right({ revoked: true }),
    write: ({ revoked }) => (revoked ? "" : undefined)
  }
]

const isAccess = (text: string): text is Access => accesses.some((access) => access === text)

const isService = (text: string): text is Service => Object.hasOwn(services, text)

const wrong = (detail: string): Either.Either<never, OptionSpec.ValueFault> =>
  Either.left({ offset: 0, detail })

/** A whole number above zero, times the unit. */
const countOf = (digits: string, unit = 1): Either.Either<number, OptionSpec.ValueFault> => {
  const count = /^[1-9]\d*$/.test(digits) ? Number(digits) * unit : 0
  return count > 0 && Number.isSafeInteger(count)
    ? Either.right(count)
    : wrong("this is not a whole number above 0 (for bytes also with K, M or G behind it)")
}

/** A number of bytes, with K, M or G behind it. */
const bytesOf = (value: string): Either.Either<number, OptionSpec.ValueFault> => {
  const { digits = "", unit = "" } = /^(?<digits>\d+)(?<unit>[KMG]?)$/.exec(value)?.groups ?? {}
  return countOf(digits, 1024 ** ["", "K", "M", "G"].indexOf(unit))
}

const inUnits = (count: number): string => {
  const power = [3, 2, 1].find((power) => count % 1024 ** power === 0) ?? 0
  return `${count / 1024 ** power}${["", "K", "M", "G"][power] ?? ""}`
}
