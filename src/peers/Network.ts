// The networks of `from="…"`: IPv4 and IPv6 (RFC 4632, RFC 4291), with `!` as in sshd.
import { isIPv4, isIPv6 } from "node:net"
import * as Either from "effect/Either"
import { excerpt } from "../bytes/excerpt.ts"

/** An entry of the list. */
export interface Network {
  /** True for an entry with `!`: an address that matches it is refused, whatever else matches. */
  readonly negated: boolean
  /** The leading bits of matching addresses, as `0` and `1`; empty for Unix sockets. */
  readonly bits: string
  readonly family: Family
}

type Family = "IPv4" | "IPv6" | "unix"
type PeerAddress = Omit<Network, "negated">

const lengths = { IPv4: 32, IPv6: 128, unix: 0 } as const

/**
 * Parses an entry: `10.0.0.0/8`, `192.168.1.7`, `2001:db8::/32`, `!10.1.0.0/16` or `unix`. Left is
 * the reason for which it is invalid.
 */
export const parse = (text: string): Either.Either<Network, string> => {
  const negated = text.startsWith("!")
  const slash = text.indexOf("/")
  const address = parseAddress(text.slice(negated ? 1 : 0, slash < 0 ? undefined : slash))
  if (address === undefined || text.includes("%") || (address.family === "unix" && slash >= 0))
    return Either.left(
      `${excerpt(text)} is not a network: write 10.0.0.0/8, 192.168.1.7, 2001:db8::/32 or unix`
    )
  if (slash < 0) return Either.right({ negated, ...unmapped(address) })
  const mask = text.slice(slash + 1)
  const maxBits = lengths[address.family]
  if (!/^(0|[1-9]\d{0,2})$/.test(mask) || Number(mask) > maxBits)
    return Either.left(`${excerpt(text)}: the number of bits after / is 0 to ${maxBits}`)
  const network = {
    negated,
    ...unmapped({ family: address.family, bits: address.bits.slice(0, Number(mask)) })
  }
  return address.bits.includes("1", Number(mask))
    ? Either.left(`${excerpt(text)} has bits beyond its mask; write ${format(network)}`)
    : Either.right(network)
}

/** Formats an entry so that `parse` reads it. */
export const format = ({ negated, family, bits }: Network): string => {
  const mask = bits.length === lengths[family] ? "" : `/${bits.length}`
  return `${negated ? "!" : ""}${formats[family](bits.padEnd(lengths[family], "0"))}${mask}`
}

/**
 * Returns whether a list allows a peer by its address, as `Connection.peer` has it:
 * `127.0.0.1:51234`, `[fe80::1%eth0]:5`, `unix:/path`. As in sshd, a negated match refuses, and so
 * does a list without a match; an address in another form is refused.
 */
export const allows = (networks: ReadonlyArray<Network>, peer: string): boolean => {
  const address = addressOfPeer(peer)
  if (address === undefined) return false
  const matching = networks.filter(
    ({ family, bits }) => family === address.family && address.bits.startsWith(bits)
  )
  return matching.length > 0 && matching.every(({ negated }) => !negated)
}

const addressOfPeer = (peer: string): PeerAddress | undefined => {
  if (peer.startsWith("unix:")) return unixSocket
  const [, v4, v6] = /^(?:([\d.]+)|\[([\da-fA-F:.]+)(?:%[^\]]*)?\]):\d+$/.exec(peer) ?? []
  const address = parseAddress(v4 ?? v6 ?? "")
  return address === undefined ? undefined : unmapped(address)
}

const unixSocket: PeerAddress = { family: "unix", bits: "" }

const parseAddress = (text: string): PeerAddress | undefined => {
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

/** An IPv4-mapped IPv6 address (::ffff:10.0.0.1, RFC 4291 section 2.5.5.2) counts as IPv4. */
const unmapped = (address: PeerAddress): PeerAddress =>
  address.family === "IPv6" && address.bits.startsWith(mapped)
    ? { family: "IPv4", bits: address.bits.slice(mapped.length) }
    : address

const groupsOf = (bits: string, length: number): ReadonlyArray<number> =>
  (bits.match(new RegExp(`.{${length}}`, "g")) ?? []).map((group) => Number.parseInt(group, 2))

const formats: Readonly<Record<Family, (bits: string) => string>> = {
  unix: () => "unix",
  IPv4: (bits) => groupsOf(bits, 8).join("."),
  // The URL standard formats IPv6 addresses as RFC 5952 does.
  IPv6: (bits) => {
    const groups = groupsOf(bits, 16).map((group) => group.toString(16))
    return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1)
  }
}
