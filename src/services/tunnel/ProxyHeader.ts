// PROXY protocol, version 2: the header that tells a target the client's address and name.
// Source: haproxy, proxy-protocol.txt, section 2.2.
import { isIP } from "node:net"
import * as Either from "effect/Either"
import * as Network from "../../peers/Network.ts"
import * as Address from "../../transports/Address.ts"

/** The fixed first bytes: \r\n\r\n\0\r\nQUIT\n */
const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex")

/** Version 2, command PROXY. */
const versionCommand = 0x21

/** Address family (high four bits) and transport protocol (low four bits). */
const families = { unspecified: 0x00, tcp4: 0x11, tcp6: 0x21 } as const

/** PP2_TYPE_MIN_CUSTOM: the first type reserved for applications. */
const nameType = 0xe0

export interface ProxyFields {
  /** As transports write it: "10.0.0.7:51234". Anything but an IP address and port is unknown. */
  readonly source: string
  /** As `source`. */
  readonly destination: string | undefined
  /** The name of the peer, of at most 64 characters: TLV 0xE0. */
  readonly name: string | undefined
}

/** Encodes the header. Unknown addresses, or two of different families, give AF_UNSPEC. */
export const encode = ({ source, destination, name }: ProxyFields): Uint8Array => {
  const [family, addresses] = addressBlock(parseEndpoint(source), parseEndpoint(destination))
  const tlv = name === undefined ? Buffer.alloc(0) : encodeTlv(nameType, Buffer.from(name))
  const fields = Buffer.alloc(4)
  fields[0] = versionCommand
  fields[1] = family
  fields.writeUInt16BE(addresses.length + tlv.length, 2)
  return Buffer.concat([signature, fields, addresses, tlv])
}

interface IpEndpoint {
  readonly bytes: Buffer
  readonly port: number
}

const addressBlock = (
  source: IpEndpoint | undefined,
  destination: IpEndpoint | undefined
): readonly [number, Buffer] => {
  if (
    source === undefined ||
    destination === undefined ||
    source.bytes.length !== destination.bytes.length
  )
    return [families.unspecified, Buffer.alloc(0)]
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(source.port, 0)
  ports.writeUInt16BE(destination.port, 2)
  const family = source.bytes.length === 4 ? families.tcp4 : families.tcp6
  return [family, Buffer.concat([source.bytes, destination.bytes, ports])]
}

/** type (1 byte) | length (2 bytes) | value */
const encodeTlv = (type: number, value: Uint8Array): Buffer => {
  const header = Buffer.alloc(3)
  header[0] = type
  header.writeUInt16BE(value.length, 1)
  return Buffer.concat([header, value])
}

/** An IPv4-mapped IPv6 address counts as IPv4, as in the networks of peers files. */
const parseEndpoint = (text = ""): IpEndpoint | undefined => {
  // To Address.parse an address without a host is a loopback address, which targets may trust.
  if (text.startsWith(":")) return undefined
  const address = Either.getOrUndefined(Address.parse(text))
  if (address?._tag !== "Tcp") return undefined
  const host = address.host.replace(/%.*$/, "")
  const network = isIP(host) === 0 ? undefined : Either.getOrUndefined(Network.parse(host))
  if (network === undefined) return undefined
  const bytes = Buffer.from(
    (network.bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))
  )
  return { bytes, port: address.port }
}
