// What a line of authorized_peers allows its peer. keys/PEERS.md.
import * as Either from "effect/Either"
import * as Moment from "./Moment.ts"
import * as Network from "./Network.ts"
import * as OptionKind from "./OptionKind.ts"
import { isName } from "./PeerName.ts"
import { shown } from "./shown.ts"

/** What a peer may ask for, each with what that is. */
export const services = {
  message: "messages, as sealwire send sends them",
  file: "files, both ways",
  tunnel: "connections to its targets"
} as const
export type Service = keyof typeof services

/** What is not there is not limited. */
export interface Rules {
  /** Where the line stands, for logs: "authorized_peers:3". */
  readonly where: string
  readonly from?: ReadonlyArray<Network.Network>
  readonly services?: ReadonlyArray<Service>
  /** The addresses its tunnels may lead to, as they are written. */
  readonly targets?: ReadonlyArray<string>
  /** The moment from which on its key is not let in, in milliseconds since 1970. */
  readonly expires?: number
  readonly messagesPerMinute?: number
  readonly bytesPerMinute?: number
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
}

/** Why the rules refuse this, as a clause for the log; undefined where they allow it. The peer is never told. */
export const refusal = (rules: Rules, { from, now, service }: Attempt): string | undefined => {
  const { where } = rules
  if (rules.revoked) return `its key is revoked (${where})`
  if (rules.expires !== undefined && now >= rules.expires)
    return `its key has expired: ${Moment.format(rules.expires)} (${where})`
  if (rules.from !== undefined && !Network.allows(rules.from, from))
    return `its line allows it from ${few(rules.from.map(Network.format))} only (${where})`
  if (service !== undefined && rules.services?.includes(service) === false)
    return `its line allows it ${rules.services.join(", ")} only, not ${service} (${where})`
  return undefined
}

/** How many entries of a list a log line repeats. */
const mostShown = 8

const few = (entries: ReadonlyArray<string>): string =>
  [...entries.slice(0, mostShown), ...(entries.length > mostShown ? ["…"] : [])].join(", ")

/** The options, each as a line holds it. */
export const format = (rules: Partial<Rules>): ReadonlyArray<string> => OptionKind.format(options, rules)

type RulesOption = OptionKind.OptionKind<Omit<Rules, "where">>

/** Every option of authorized_peers. */
export const options: ReadonlyArray<RulesOption> = [
  {
    name: "from",
    example: "10.0.0.0/8,2001:db8::/32,!10.1.0.0/16",
    summary: "the networks it may come from; ! refuses, whatever else matches; unix is a Unix socket",
    read: (value) =>
      Either.flatMap(OptionKind.listOf(value, Network.parse), (from) =>
        from.every(({ negated }) => negated)
          ? wrong("a list of ! alone lets nobody in; name a network to let in as well, such as 0.0.0.0/0")
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
        OptionKind.listOf(value, (text) =>
          isService(text)
            ? Either.right(text)
            : Either.left(`${shown(text)} is no service; there are ${Object.keys(services).join(", ")}`)
        ),
        (services) => ({ services })
      ),
    write: ({ services }) => services?.join(",")
  },
  {
    name: "target",
    example: "127.0.0.1:5432,db:5432",
    summary: "where its tunnels may lead",
    read: (value) =>
      Either.map(
        OptionKind.listOf(value, (text) => (/\s/.test(text) ? Either.left("a target has no blank in it") : Either.right(text))),
        (targets) => ({ targets })
      ),
    write: ({ targets }) => targets?.join(",")
  },
  {
    name: "expiry-time",
    example: "2027-01-01",
    summary: "from then on its key is not let in; a date is its first moment, in UTC",
    read: (value) => {
      const expires = Moment.parse(value)
      return expires === undefined ? wrong(Moment.expected) : Either.right({ expires })
    },
    write: ({ expires }) => (expires === undefined ? undefined : Moment.format(expires))
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
    read: (value) => {
      const { digits = "", unit = "" } = /^(?<digits>\d+)(?<unit>[KMG]?)$/.exec(value)?.groups ?? {}
      return Either.map(countOf(digits, 1024 ** ["", "K", "M", "G"].indexOf(unit)), (bytesPerMinute) => ({ bytesPerMinute }))
    },
    write: ({ bytesPerMinute }) => (bytesPerMinute === undefined ? undefined : inUnits(bytesPerMinute))
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
    read: (value) => (isName(value) ? Either.right({ sharedKey: value }) : wrong("this is not the name of a shared key")),
    write: ({ sharedKey }) => sharedKey
  },
  {
    name: "revoked",
    example: undefined,
    summary: "its key is never let in again; the line stays, so that the key is not added back by mistake",
    read: () => Either.right({ revoked: true }),
    write: ({ revoked }) => (revoked ? "" : undefined)
  }
]

const isService = (text: string): text is Service => Object.hasOwn(services, text)

const wrong = (detail: string): Either.Either<never, OptionKind.ValueFault> => Either.left({ offset: 0, detail })

/** A whole number above zero, times the unit. */
const countOf = (digits: string, unit = 1): Either.Either<number, OptionKind.ValueFault> => {
  const count = /^[1-9]\d*$/.test(digits) ? Number(digits) * unit : 0
  return count > 0 && Number.isSafeInteger(count)
    ? Either.right(count)
    : wrong("this is not a whole number above 0 (for bytes also with K, M or G behind it)")
}

const inUnits = (count: number): string => {
  const power = [3, 2, 1].find((power) => count % 1024 ** power === 0) ?? 0
  return `${count / 1024 ** power}${["", "K", "M", "G"][power] ?? ""}`
}
