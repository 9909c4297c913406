// The text form of addresses: every form, every error with its hint, and the round trip.
import { randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FC from "effect/FastCheck"
import {
  AddressInvalid,
  canonical,
  canonicalText,
  format,
  isLoopback,
  parse,
  tcp,
  unix,
  type Address
} from "../../src/transports/Address.ts"

describe("parse", () => {
  const forms: Record<string, Address> = {
    "example.org:8080": tcp("example.org", 8080),
    "10.0.0.1:0": tcp("10.0.0.1", 0),
    "0.0.0.0:65535": tcp("0.0.0.0", 65535),
    ":8080": tcp("127.0.0.1", 8080),
    "[::1]:8080": tcp("::1", 8080),
    "[fe80::1%eth0]:22": tcp("fe80::1%eth0", 22),
    "[::ffff:127.0.0.1]:1": tcp("127.0.0.1", 1),
    "/run/sealwire.sock": unix("/run/sealwire.sock"),
    "unix:/run/sealwire.sock": unix("/run/sealwire.sock"),
    "unix:sealwire.sock": unix("sealwire.sock"),
    "unix:unix:odd name": unix("unix:odd name")
  }
  for (const [text, address] of Object.entries(forms))
    it(`reads ${text}`, () => expect(parse(text)).toEqual(Either.right(address)))

  const longest = process.platform === "linux" ? 107 : 103
  it(`accepts a path of ${longest} bytes`, () => {
    const path = "/".padEnd(longest, "x")
    expect(parse(path)).toEqual(Either.right(unix(path)))
  })

  const generic = "write host:port, [v6]:port, :port, /absolute/path or unix:path"
  const brackets = "put an IPv6 address in brackets: [::1]:8080"
  const inherited =
    "write fd:N for a descriptor (fd:3), or systemd:NAME with the FileDescriptorName of a .socket unit"
  const refusals: Record<string, string> = {
    "fd:x": inherited,
    "fd:0":
      "descriptors 0 to 2 are standard input, output and error; an inherited socket is fd:3 or above",
    "systemd:": inherited,
    "systemd:two words": inherited,
    "": "missing port: write 127.0.0.1:8080",
    "example.org": "missing port: write example.org:8080",
    "8080": "for a port on this machine write :8080",
    "::1": brackets,
    "::1:8080": brackets,
    "fe80::1": brackets,
    "[example.org]:80": generic,
    "[cafe]:80": "brackets must contain an IPv6 address: [::1]:8080",
    "[127.0.0.1]:80": "brackets must contain an IPv6 address: [::1]:8080",
    "host:65536": "a port is at most 65535",
    "host:123456": generic,
    "host:": generic,
    "host:http": generic,
    "host:-1": generic,
    "a..b:80": "a..b is not a host name or an IP address",
    ".:80": ". is not a host name or an IP address",
    "a@b:80": "a@b is not a host name or an IP address",
    "a#b:80": "a#b is not a host name or an IP address",
    "%6c:80": "%6c is not a host name or an IP address",
    "1.2.3.256:80": "1.2.3.256 is not a host name or an IP address",
    "xn--:80": "xn-- is not a host name or an IP address",
    "a.xn--a:80": "a.xn--a is not a host name or an IP address",
    "xn--abc-:80": "xn--abc- is not a host name or an IP address",
    "a host:80": generic,
    "host/path:80": generic,
    "./db.sock": "for a socket path write unix:./db.sock",
    "db.sock": "for a socket path write unix:db.sock",
    "unix:": "write the path of the socket",
    "unix:a\0b": "write the path of the socket",
    [`unix:${"x".repeat(longest + 1)}`]: `a socket path has at most ${longest} bytes`,
    // The limit counts bytes, not characters.
    [`/${"é".repeat(longest / 2)}x`]: `a socket path has at most ${longest} bytes`
  }
  for (const [text, hint] of Object.entries(refusals))
    it(`rejects ${JSON.stringify(text.slice(0, 30))}: ${hint}`, () => {
      const refused = Either.flip(parse(text)).pipe(Either.getOrThrow)
      expect(refused).toBeInstanceOf(AddressInvalid)
      expect(refused).toMatchObject({ text, detail: hint })
      expect(refused.message.endsWith(` is not an address: ${hint}`)).toBe(true)
    })

  it("refuses a host that may be a secret, and does not repeat it", () => {
    const key = randomBytes(32)
    for (const host of [
      key.toString("base64url"),
      key.toString("hex"),
      `${key.toString("hex")}.example`,
      "velvet-orbit-canyon-maple-drift-ember-quill"
    ]) {
      const refused = Either.flip(parse(`${host}:8080`)).pipe(Either.getOrThrow)
      expect(refused.detail).toBe("its host may be a key; resolving it would publish it in the DNS")
      expect(refused.message).not.toContain(host.slice(0, 8))
    }
  })

  it.each([
    "web.team.service.namespace.svc.cluster.local:8080",
    "a1b2c3d4e5f678901234567890123456-1234567890.us-east-1.elb.amazonaws.com:443",
    "550e8400-e29b-41d4-a716-446655440000:8080",
    "build-server-west-one:8080"
  ])("accepts a host that looks a little like a secret: %s", (text) => {
    expect(Either.map(parse(text), format)).toEqual(Either.right(text))
  })

  it("escapes control characters of a terminal", () => {
    const { message } = Either.flip(parse("\u001b[2J\u202ehost")).pipe(Either.getOrThrow)
    expect(message).toBe(
      `"\\x1b[2J\\u202ehost" is not an address: missing port: write \\x1b[2J\\u202ehost:8080`
    )
  })
})

/** Spellings of one address, the canonical one first. */
const spellings: ReadonlyArray<ReadonlyArray<string>> = [
  ["localhost:1", "LOCALHOST:1", "Localhost.:1", "localhost:01", "ＬＯＣＡＬＨＯＳＴ:1"],
  ["127.0.0.1:1", ":1", "127.1:1", "0x7f.0.0.1:1", "2130706433:1", "127.0.0.1.:1"],
  ["127.0.0.1:2", "[::ffff:127.0.0.1]:2", "[::FFFF:7f00:1]:2", "[0:0:0:0:0:ffff:7f00:1]:2"],
  ["xn--bcher-kva.example:1", "bücher.example:1", "BÜCHER.example:1", "XN--BCHER-KVA.example.:1"],
  ["[::1]:1", "[0:0:0:0:0:0:0:1]:1", "[0::0001]:1", "[::1%lo]:1", "[::0.0.0.1]:1"],
  ["[2001:db8::1]:1", "[2001:DB8:0::0:1]:1", "[2001:db8::1%eth0]:1"],
  ["[fe80::1%eth0]:1", "[FE80::1%eth0]:1", "[fe80:0::1%eth0]:1"],
  ["[fe80::1%ETH0]:1", "[FE80::1%ETH0]:1"],
  ["/run/a.sock", "unix:/run/a.sock", "/run//a.sock", "/run/./x/../a.sock", "unix:///run/a.sock"],
  [`${process.cwd()}/a.sock`, "unix:a.sock", "unix:./a.sock"]
]

describe("canonical", () => {
  it.each(spellings)("%s", (first, ...others) => {
    for (const text of [first, ...others]) {
      const parsed = Either.getOrThrow(parse(text))
      expect([text, canonical(parsed)]).toEqual([text, first])
      expect([text, canonicalText(text)]).toEqual([text, first])
      // Also of an object that nobody has parsed.
      if (parsed._tag === "Tcp") expect(format({ ...parsed })).toBe(first)
    }
  })

  it("keeps apart what is not the same", () => {
    const all = spellings.map(([first]) => first)
    expect(new Set(all).size).toBe(all.length)
    expect(canonicalText("not an address")).toBe("not an address")
  })

  it("holds for an object with another spelling", () => {
    expect(format({ _tag: "Tcp", host: "LOCALHOST.", port: 1 })).toBe("localhost:1")
    expect(tcp("0::1", 1)).toEqual({ _tag: "Tcp", host: "::1", port: 1 })
    for (const host of ["LOCALHOST", "localhost.", "127.1", "0:0:0:0:0:0:0:1", "::ffff:7f00:1"])
      expect([host, isLoopback({ _tag: "Tcp", host, port: 1 })]).toEqual([host, true])
    for (const host of ["::ffff:10.0.0.1", "127.0.0.1.example", "fe80::1", "a@localhost"])
      expect([host, isLoopback({ _tag: "Tcp", host, port: 1 })]).toEqual([host, false])
  })
})

describe("tcp", () => {
  const invalid = [
    "good.example/evil",
    "good.example\n",
    "go\tod.example",
    "good.example\u0001",
    " good.example",
    "good.example ",
    "good.example\\evil",
    "a@good.example",
    "good.example:80",
    "%6c",
    "a..b",
    "",
    "[good.example]"
  ]
  it.each(invalid)("refuses %j", (host) => {
    expect(() => tcp(host, 1)).toThrow(AddressInvalid)
    // An object that nobody has checked keeps its host, which then equals only itself.
    expect(canonical({ _tag: "Tcp", host, port: 1 })).toContain(host)
    expect(isLoopback({ _tag: "Tcp", host, port: 1 })).toBe(false)
  })

  it("wants an IPv6 address without brackets", () => {
    expect(() => tcp("[::1]", 1)).toThrow(
      '"[::1]" is not an address: give the host of an IPv6 address without brackets'
    )
    expect(tcp("::1", 1)).toMatchObject({ host: "::1" })
  })
})

describe("unix", () => {
  it.each([
    ["link/../s.sock", "s.sock"],
    ["/run/link/../s.sock", "/run/s.sock"],
    ["../s.sock", "../s.sock"],
    ["./s.sock", "./s.sock"],
    ["a..b/s.sock", "a..b/s.sock"]
  ])("%s is %s", (given, path) => {
    expect(unix(given)).toEqual({ _tag: "Unix", path })
    expect(canonical(unix(given))).toBe(canonical({ _tag: "Unix", path: given }))
  })
})

describe("format", () => {
  const port = FC.integer({ min: 0, max: 65535 })
  const host = FC.oneof(FC.domain(), FC.ipV4(), FC.ipV6())
  const path = FC.string({ minLength: 1, maxLength: 100 }).filter(
    (text) => !text.includes("\0") && Buffer.byteLength(text) <= 100
  )
  const address = FC.oneof(
    FC.tuple(host, port).map(([host, port]) => tcp(host, port)),
    path.map(unix),
    path.map((text) => unix(`/${text}`))
  )

  it.prop("is parsed back to the same address", { address }, ({ address }) => {
    expect(parse(format(address))).toEqual(Either.right(address))
  })

  const text = FC.oneof(
    FC.string(),
    FC.stringMatching(/^(\[[0-9a-f:.%]*\]|[a-z0-9.]*|unix:\/?[a-z]*):?\d{0,6}$/)
  )
  it.prop("is the same after parsing it again", { text }, ({ text }) => {
    for (const address of Either.isRight(parse(text)) ? [Either.getOrThrow(parse(text))] : [])
      expect(parse(format(address))).toEqual(Either.right(address))
  })

  it("uses the short form", () => {
    expect(
      ["unix:/run/s", "unix:s", "[::1]:80", ":80"].map((text) =>
        format(Either.getOrThrow(parse(text)))
      )
    ).toEqual(["/run/s", "unix:s", "[::1]:80", "127.0.0.1:80"])
  })
})

describe("isLoopback", () => {
  it.each(["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "localhost"])("%s", (host) =>
    expect(isLoopback(tcp(host, 1))).toBe(true)
  )
  it.each([
    "127.example.org",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1"
  ])("not %s", (host) => expect(isLoopback(tcp(host, 1))).toBe(false))
  it("a Unix socket", () => expect(isLoopback(unix("/run/s"))).toBe(true))
})
