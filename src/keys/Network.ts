// Where a peer may come from: the networks of `from="…"`, IPv4 and IPv6 (RFC 4632, RFC 4291), with sshd's `!`.
import { isIPv4, isIPv6 } from "node:net"
import * as Either from "effect/Either"
import { shown } from "./shown.ts"

/** One entry of the list. */
export interface Network {
  /** `!` before it: what it matches is refused, whatever else matches. */
  readonly negated: boolean
  /** The address, 4 or 16 bytes; "unix" stands for every Unix socket of this machine. */
  readonly address: Uint8Array | "unix"
  /** How many leading bits must be the same. */
  readonly bits: number
}

/** An entry as a person writes it: `10.0.0.0/8`, `192.168.1.7`, `2001:db8::/32`, `!10.1.0.0/16`, `unix`; or what is wrong with it. */
export const parse = (text: string): Either.Either<Network, string> => {
  const negated = text.startsWith("!")
  const [host = "", mask, ...rest] = (negated ? text.slice(1) : text).split("/")
  if (host === "unix" && mask === undefined) return Either.right({ negated, address: "unix", bits: 0 })
  const written = bytesOf(host)
  if (written === undefined || host.includes("%") || rest.length > 0)
    return Either.left(`${shown(text)} is no network: write 10.0.0.0/8, 192.168.1.7, 2001:db8::/32 or unix`)
  const most = written.length * 8
  if (mask !== undefined && (!/^(0|[1-9]\d{0,2})$/.test(mask) || Number(mask) > most))
    return Either.left(`${shown(text)}: after the / comes a number of bits, 0 to ${most}`)
  const { address, bits } = unmapped(written, mask === undefined ? most : Number(mask))
  const network = { negated, address: masked(address, bits), bits }
  return Buffer.compare(network.address, address) === 0
    ? Either.right(network)
    : Either.left(`${shown(text)} has bits beyond its mask; write ${format(network)}`)
}

/** As `parse` reads it. */
export const format = ({ negated, address, bits }: Network): string => {
  const sign = negated ? "!" : ""
  if (address === "unix") return `${sign}unix`
  return `${sign}${hostText(address)}${bits === address.length * 8 ? "" : `/${bits}`}`
}

/**
 * True when the list lets in a peer that a Connection calls `peer`: `127.0.0.1:51234`, `[fe80::1%eth0]:5`, `unix:/path`. As in sshd
 * a negated match refuses, and a list without a match refuses too; so does a peer whose text is none of these.
 */
export const allows = (networks: ReadonlyArray<Network>, peer: string): boolean => {
  const place = placeOf(peer)
  if (place === undefined) return false
  const matching = networks.filter((network) => covers(network, place))
  return matching.length > 0 && matching.every(({ negated }) => !negated)
}

const covers = ({ address, bits }: Network, place: Uint8Array | "unix"): boolean =>
  address === "unix" || place === "unix"
    ? address === place
    : address.length === place.length && Buffer.compare(masked(place, bits), address) === 0

const placeOf = (peer: string): Uint8Array | "unix" | undefined => {
  if (peer.startsWith("unix:")) return "unix"
  const { v4, v6 } = /^(?:(?<v4>[\d.]+)|\[(?<v6>[^\]%]+)(?:%[^\]]*)?\]):\d+$/.exec(peer)?.groups ?? {}
  const bytes = bytesOf(v4 ?? v6 ?? "")
  return bytes === undefined ? undefined : unmapped(bytes, bytes.length * 8).address
}

/** 4 or 16 bytes, or undefined when the text is no address. */
const bytesOf = (text: string): Uint8Array | undefined => {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number)
  if (!isIPv6(text)) return undefined
  const [head = "", tail] = text.split("%")[0]?.split("::") ?? []
  const front = groupsOf(head)
  const back = groupsOf(tail ?? "")
  return Uint8Array.from([...front, ...Array.from({ length: 16 - front.length - back.length }, () => 0), ...back])
}

/** The bytes of groups that `:` separates; the last may be an IPv4 address. */
const groupsOf = (text: string): ReadonlyArray<number> =>
  text
    .split(":")
    .filter((group) => group !== "")
    .flatMap((group) => {
      if (group.includes(".")) return group.split(".").map(Number)
      const value = Number.parseInt(group, 16)
      return [value >> 8, value & 0xff]
    })

const mappedPrefix = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)

/** An IPv4 address inside of an IPv6 one (::ffff:10.0.0.1) counts as the IPv4 address that it is. */
const unmapped = (address: Uint8Array, bits: number): { readonly address: Uint8Array; readonly bits: number } =>
  address.length === 16 && bits >= 96 && Buffer.compare(address.subarray(0, 12), mappedPrefix) === 0
    ? { address: address.slice(12), bits: bits - 96 }
    : { address, bits }

const masked = (address: Uint8Array, bits: number): Uint8Array =>
  address.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - index * 8))))

// The URL standard writes IPv6 as RFC 5952 wants it.
const hostText = (address: Uint8Array): string =>
  address.length === 4
    ? address.join(".")
    : new URL(`http://[${Buffer.from(address).toString("hex").replace(/..../g, ":$&").slice(1)}]`).hostname.slice(1, -1)
