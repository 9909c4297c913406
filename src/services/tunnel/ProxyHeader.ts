// The header that tells a target who is really there: PROXY protocol, version 2 (haproxy, proxy-protocol.txt, section 2.2).
import { isIP } from "node:net"
import * as Either from "effect/Either"
import * as Network from "../../peers/Network.ts"
import * as Address from "../../transports/Address.ts"

/** \r\n\r\n\0\r\nQUIT\n */
const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex")

/** Version 2, command PROXY. */
const versionCommand = 0x21

/** Address family and transport: the high and the low half of a byte. */
const families = { unspecified: 0x00, tcp4: 0x11, tcp6: 0x21 } as const

/** PP2_TYPE_MIN_CUSTOM: the first of those that are anybody's to define. */
const nameType = 0xe0

export interface From {
  /** As transports write them: "10.0.0.7:51234"; anything that is no IP address and port counts as not known. */
  readonly source: string
  readonly destination: string | undefined
  /** The peer's name, at most 64 bytes. */
  readonly name: string | undefined
}

/** The whole header. */
export const encode = ({ source, destination, name }: From): Uint8Array => {
  const [family, addresses] = addressBlock(ipOf(source), ipOf(destination))
  const tlv = name === undefined ? Buffer.alloc(0) : tlvOf(nameType, Buffer.from(name))
  const fixed = Buffer.alloc(4)
  fixed[0] = versionCommand
  fixed[1] = family
  fixed.writeUInt16BE(addresses.length + tlv.length, 2)
  return Buffer.concat([signature, fixed, addresses, tlv])
}

interface Ip {
  readonly bytes: Buffer
  readonly port: number
}

const addressBlock = (
  source: Ip | undefined,
  destination: Ip | undefined
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

/** type(1) | length(2) | value */
const tlvOf = (type: number, value: Uint8Array): Buffer => {
  const header = Buffer.alloc(3)
  header[0] = type
  header.writeUInt16BE(value.length, 1)
  return Buffer.concat([header, value])
}

/** As a listing of networks reads an address: one of IPv4 inside of one of IPv6 is one of IPv4. */
const ipOf = (text: string | undefined): Ip | undefined => {
  const address = Either.getOrUndefined(Address.parse(text ?? ""))
  if (address?._tag !== "Tcp") return undefined
  const host = address.host.replace(/%.*$/, "")
  const network = isIP(host) === 0 ? undefined : Either.getOrUndefined(Network.parse(host))
  if (network === undefined) return undefined
  const bytes = Buffer.from(
    (network.bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))
  )
  return { bytes, port: address.port }
}
