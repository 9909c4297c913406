// Headers of the PROXY protocol, version 2, written by hand from section 2.2 of its specification.
import { describe, expect, it } from "vitest"
import { encode } from "../../../src/services/tunnel/ProxyHeader.ts"

const signature = "0d0a0d0a000d0a515549540a"
const hex = (...args: Parameters<typeof encode>) => Buffer.from(encode(...args)).toString("hex")

describe("the header", () => {
  it("for IPv4 has 12 bytes of addresses, then the name as a TLV", () => {
    expect(hex({ source: "10.1.2.3:51234", destination: "192.168.0.9:8080", name: "al" })).toBe(
      `${signature}211100110a010203c0a80009c8221f90e00002616c`
    )
  })
  it("for IPv6 has 36 bytes, for any short form, without the zone", () => {
    expect(
      hex({ source: "[2001:db8::7:1]:1", destination: "[fe80::1%eth0]:65535", name: undefined })
    ).toBe(
      `${signature}2121002420010db8000000000000000000070001fe8000000000000000000000000000010001ffff`
    )
    expect(hex({ source: "[::]:1", destination: "[1::]:2", name: undefined })).toBe(
      `${signature}21210024${"0".repeat(32)}0001${"0".repeat(28)}00010002`
    )
  })
  it("for an IPv4-mapped IPv6 address is the IPv4 header", () => {
    expect(hex({ source: "[::ffff:10.0.0.1]:1", destination: "10.0.0.2:2", name: undefined })).toBe(
      `${signature}2111000c0a0000010a00000200010002`
    )
  })
  it("for a Unix socket, two families or an unknown address has no addresses", () => {
    for (const [source, destination] of [
      ["unix:/run/app.sock", undefined],
      ["10.0.0.1:1", undefined],
      ["10.0.0.1:1", "[::1]:2"],
      ["somewhere", "10.0.0.1:1"]
    ] as const)
      expect(hex({ source, destination, name: "é" })).toBe(`${signature}21000005e00002c3a9`)
  })
})
