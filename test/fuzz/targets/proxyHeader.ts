// The PROXY header that a tunnel sends to its target, read by an independent parser. Input: three
// lines, the source, the destination and the peer's name.
import { isIP } from "node:net"
import { isName } from "../../../src/peers/PeerName.ts"
import * as ProxyHeader from "../../../src/services/tunnel/ProxyHeader.ts"
import { check, type Target } from "../Target.ts"

interface Parsed {
  readonly family: number
  readonly source: string
  readonly destination: string
  readonly name: string | undefined
}

/** As a target reads it: proxy-protocol.txt of HAProxy, section 2.2. */
const parse = (bytes: Buffer): Parsed => {
  const start = "0d0a0d0a000d0a515549540a21"
  check(bytes.subarray(0, 13).toString("hex") === start, "signature, version and command")
  check(bytes.length === 16 + bytes.readUInt16BE(14), "the length is not that of the rest")
  const family = bytes[13] as number
  const addressBytes = { 0x00: 0, 0x11: 4, 0x21: 16 }[family] ?? -1
  check(addressBytes >= 0, `family ${family}`)
  const at = addressBytes === 0 ? 16 : 16 + 2 * addressBytes + 4
  const address = (index: number): string => {
    if (addressBytes === 0) return ""
    const host = bytes.subarray(16 + index * addressBytes, 16 + (index + 1) * addressBytes)
    const port = bytes.readUInt16BE(16 + 2 * addressBytes + 2 * index)
    return addressBytes === 4
      ? `${[...host].join(".")}:${port}`
      : `[${host.toString("hex").match(/.{4}/g)?.join(":")}]:${port}`
  }
  const tlv = bytes.subarray(at)
  if (tlv.length === 0)
    return { family, source: address(0), destination: address(1), name: undefined }
  check(tlv[0] === 0xe0 && tlv.readUInt16BE(1) === tlv.length - 3, "one TLV, to the end")
  return {
    family,
    source: address(0),
    destination: address(1),
    name: tlv.subarray(3).toString()
  }
}

/**
 * An address as `parse` gives it; undefined for anything but an IP address and a port. Node knows
 * only zones of ASCII letters, digits and some signs.
 */
const normal = (text: string | undefined): string | undefined => {
  const groups = /^(?:\[(?<v6>[^\]%]*)(?:%[\dA-Za-z.:-]+)?\]|(?<v4>[\d.]+)):(?<port>\d{1,5})$/.exec(
    text ?? ""
  )?.groups
  const { v4 = "", v6 = "", port = "" } = groups ?? {}
  if (Number(port) > 65_535) return undefined
  // Addresses are canonical where they are parsed: 100.0.1 is 100.0.0.1.
  if (v4 !== "")
    return URL.canParse(`http://${v4}`)
      ? `${new URL(`http://${v4}`).hostname}:${Number(port)}`
      : undefined
  if (isIP(v6) === 0) return undefined
  const host = new URL(`http://[${v6}]`).hostname.slice(1, -1)
  const [head = "", tail] = host.split("::")
  const [front, back] = [head, tail ?? ""].map((part) =>
    part.split(":").filter((one) => one !== "")
  )
  const zeros = tail === undefined ? 0 : 8 - (front?.length ?? 0) - (back?.length ?? 0)
  const all = [...(front ?? []), ...Array.from({ length: zeros }, () => "0"), ...(back ?? [])]
  const hex = all.map((group) => group.padStart(4, "0"))
  if (hex.slice(0, 6).join("") !== "00000000000000000000ffff")
    return `[${hex.join(":")}]:${Number(port)}`
  const bytes = Buffer.from(hex.slice(6).join(""), "hex")
  return `${[...bytes].join(".")}:${Number(port)}`
}

export const proxyHeader: Target = {
  maxBytes: 300,
  seeds: () =>
    [
      "10.0.0.7:51234\n10.0.0.1:80\nalice",
      "[2001:db8::7]:1\n[::1]:65535\nZoë",
      "[::ffff:10.0.0.7]:51234\n10.0.0.1:80",
      "[fe80::1%eth0]:5\n[fe80::2%eth0]:6\nbob",
      "unix:/run/app.sock\nunix:/run/app.sock\na",
      "10.0.0.7:51234\n[::1]:80\na"
    ].map((text) => Buffer.from(text)),
  words: ["[::ffff:", "::", "%eth0", "]:", "\n", "fd:3", "systemd:x", "unix", "0.0.0.0", "!", "/8"],
  run: (input) => {
    const [source = "", destination, name] = input.toString().split("\n")
    const encoded = ProxyHeader.encode({ source, destination, name })
    // Names in headers are those of peers files.
    if (name !== undefined && !isName(name)) return "not a name"
    const parsed = parse(Buffer.from(encoded))
    check(parsed.name === name, `the name ${parsed.name}`)
    const [from, to] = [normal(source), normal(destination)]
    const isKnown =
      from !== undefined && to !== undefined && from.startsWith("[") === to.startsWith("[")
    check(
      parsed.source === (isKnown ? from : "") && parsed.destination === (isKnown ? to : ""),
      `${source} ${destination}: ${JSON.stringify(parsed)}`
    )
    return `${parsed.family} ${name !== undefined}`
  }
}
