// Where a peer may come from: the networks of `from="…"`, IPv4 and IPv6 (RFC 4632, RFC 4291), with sshd's `!`.
import { isIPv4, isIPv6 } from "node:net"
import * as Either from "effect/Either"
import { excerpt } from "../bytes/excerpt.ts"

/** One entry of the list. */
export interface Network {
  /** `!` before it: what it matches is refused, whatever else matches. */
  readonly negated: boolean
  /** The leading bits that an address must have, as `0` and `1`; none for Unix sockets. */
  readonly bits: string
  readonly family: Family
}

type Family = "IPv4" | "IPv6" | "unix"
type Place = Omit<Network, "negated">

const lengths = { IPv4: 32, IPv6: 128, unix: 0 } as const

/** An entry as a person writes it: `10.0.0.0/8`, `192.168.1.7`, `2001:db8::/32`, `!10.1.0.0/16`, `unix`; or what is wrong with it. */
export const parse = (text: string): Either.Either<Network, string> => {
  const negated = text.startsWith("!")
  const slash = text.indexOf("/")
  const place = addressOf(text.slice(negated ? 1 : 0, slash < 0 ? undefined : slash))
  if (place === undefined || text.includes("%") || (place.family === "unix" && slash >= 0))
    return Either.left(
      `${excerpt(text)} is no network: write 10.0.0.0/8, 192.168.1.7, 2001:db8::/32 or unix`
    )
  if (slash < 0) return Either.right({ negated, ...unmapped(place) })
  const mask = text.slice(slash + 1)
  const most = lengths[place.family]
  if (!/^(0|[1-9]\d{0,2})$/.test(mask) || Number(mask) > most)
    return Either.left(`${excerpt(text)}: after the / comes a number of bits, 0 to ${most}`)
  const network = {
    negated,
    ...unmapped({ family: place.family, bits: place.bits.slice(0, Number(mask)) })
  }
  return place.bits.includes("1", Number(mask))
    ? Either.left(`${excerpt(text)} has bits beyond its mask; write ${format(network)}`)
    : Either.right(network)
}

/** As `parse` reads it. */
export const format = ({ negated, family, bits }: Network): string => {
  const mask = bits.length === lengths[family] ? "" : `/${bits.length}`
  return `${negated ? "!" : ""}${formats[family](bits.padEnd(lengths[family], "0"))}${mask}`
}

/**
 * True when the list lets in a peer that a Connection calls `peer`: `127.0.0.1:51234`, `[fe80::1%eth0]:5`, `unix:/path`. As in sshd
 * a negated match refuses, and a list without a match refuses too; so does a peer whose text is none of these.
 */
export const allows = (networks: ReadonlyArray<Network>, peer: string): boolean => {
  const place = placeOf(peer)
  if (place === undefined) return false
  const matching = networks.filter(
    ({ family, bits }) => family === place.family && place.bits.startsWith(bits)
  )
  return matching.length > 0 && matching.every(({ negated }) => !negated)
}

const placeOf = (peer: string): Place | undefined => {
  if (peer.startsWith("unix:")) return unixSocket
  const [, v4, v6] = /^(?:([\d.]+)|\[([\da-fA-F:.]+)(?:%[^\]]*)?\]):\d+$/.exec(peer) ?? []
  const place = addressOf(v4 ?? v6 ?? "")
  return place === undefined ? undefined : unmapped(place)
}

const unixSocket: Place = { family: "unix", bits: "" }

const addressOf = (text: string): Place | undefined => {
  if (text === "unix") return unixSocket
  if (isIPv4(text)) return { family: "IPv4", bits: bitsOfV4(text) }
  return isIPv6(text) ? { family: "IPv6", bits: bitsOfV6(text) } : undefined
}

const binary = (value: number, length: number): string => value.toString(2).padStart(length, "0")

const bitsOfV4 = (text: string): string => {
  let bits = ""
  for (const byte of text.split(".")) bits += binary(Number(byte), 8)
  return bits
}

const bitsOfV6 = (text: string): string => {
  const [head = "", tail = ""] = text.split("::")
  const front = bitsOfGroups(head)
  return front + bitsOfGroups(tail).padStart(lengths.IPv6 - front.length, "0")
}

/** The last group may be an IPv4 address. */
const bitsOfGroups = (text: string): string => {
  let bits = ""
  if (text !== "")
    for (const group of text.split(":"))
      bits += group.includes(".") ? bitsOfV4(group) : binary(Number.parseInt(group, 16), 16)
  return bits
}

const mapped = `${"0".repeat(80)}${"1".repeat(16)}`

/** An IPv4 address inside of an IPv6 one (::ffff:10.0.0.1) counts as the IPv4 address that it is. */
const unmapped = (place: Place): Place =>
  place.family === "IPv6" && place.bits.startsWith(mapped)
    ? { family: "IPv4", bits: place.bits.slice(mapped.length) }
    : place

const groupsOf = (bits: string, length: number): ReadonlyArray<number> =>
  (bits.match(new RegExp(`.{${length}}`, "g")) ?? []).map((group) => Number.parseInt(group, 2))

const formats: Readonly<Record<Family, (bits: string) => string>> = {
  unix: () => "unix",
  IPv4: (bits) => groupsOf(bits, 8).join("."),
  // The URL standard writes IPv6 as RFC 5952 wants it.
  IPv6: (bits) => {
    const groups = groupsOf(bits, 16).map((group) => group.toString(16))
    return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1)
  }
}
