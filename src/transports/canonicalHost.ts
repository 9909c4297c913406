import { isIPv4, isIPv6 } from "node:net"
import { domainToASCII, domainToUnicode } from "node:url"

/**
 * Returns the one spelling of a host, so that equal hosts compare as equal; undefined for a text
 * that is no host.
 *
 * - Names are in lower case and in the ASCII form of IDNA (`bücher.example` becomes
 *   `xn--bcher-kva.example`), without the dot at the end.
 * - IPv4 addresses have four decimal numbers: getaddrinfo also takes `127.1` and `0x7f.0.0.1`.
 * - IPv6 addresses are in the form of RFC 5952. An IPv4-mapped one is the IPv4 address. A zone is
 *   kept where it has a meaning, in link-local addresses, as it is written.
 */
export const canonicalHost = (host: string): string | undefined => {
  // Four decimal numbers: this form is canonical.
  if (isIPv4(host)) return host
  if (isIPv6(host)) return canonicalIpv6(host)
  // domainToASCII reads its argument as part of a URL: it would cut at some of these, drop white
  // space and control characters, and decode %41.
  // oxlint-disable-next-line no-control-regex
  if (/[\0- \x7f#?%/\\@:[\]]/.test(host)) return undefined
  const ascii = domainToASCII(host).replace(/\.$/, "")
  return ascii !== "" && ascii.split(".").every(isLabel) ? ascii : undefined
}

/** True for a label of a name. Node 24 accepts one that is no encoding of IDNA (`xn--a`). */
const isLabel = (label: string): boolean => {
  if (!label.startsWith("xn--")) return label !== ""
  const decoded = domainToUnicode(label)
  return !decoded.startsWith("xn--") && domainToASCII(decoded) === label
}

const canonicalIpv6 = (host: string): string => {
  const [address = "", zone] = host.split("%", 2)
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short)
  if (mapped !== null) return mapped.slice(1).flatMap(bytesOf).join(".")
  return zone !== undefined && /^fe[89ab]/.test(short) ? `${short}%${zone}` : short
}

/** The two bytes of a group of an IPv6 address. */
const bytesOf = (group: string): ReadonlyArray<number> => {
  const value = Number.parseInt(group, 16)
  return [value >> 8, value & 0xff]
}

/** True for an IP address; false for a host name. */
export const isIp = (host: string): boolean => isIPv4(host) || isIPv6(host)
