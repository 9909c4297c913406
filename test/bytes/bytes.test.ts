import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Bech32 from "../../src/bytes/Bech32.ts"
import * as Hex from "../../src/bytes/Hex.ts"
import * as Printable from "../../src/bytes/Printable.ts"
import { Secret } from "../../src/bytes/Secret.ts"

const bytes = FastCheck.uint8Array({ maxLength: 64 })

describe("Hex", () => {
  it.prop("round-trips", { bytes }, ({ bytes }) => {
    expect(Hex.decode(Hex.encode(bytes))).toEqual(Buffer.from(bytes))
  })
  it("rejects odd lengths and other characters", () => {
    for (const text of ["a", "0g", "00 ", "0x00"]) expect(Hex.decode(text)).toBeUndefined()
  })
})

describe("Bech32", () => {
  const key = FastCheck.uint8Array({ minLength: 32, maxLength: 32 })
  const prefix = "SEALWIRE-TEST-KEY-"

  it.prop("round-trips", { key }, ({ key }) => {
    const decoded = Bech32.decode(Bech32.encode(prefix, key))
    expect(decoded?.prefix).toBe(prefix.toLowerCase())
    expect(decoded?.bytes).toEqual(key)
  })
  it.prop(
    "rejects one wrong character",
    { key, at: FastCheck.nat(56), other: FastCheck.nat(30) },
    ({ key, at, other }) => {
      const alphabet = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
      const text = Bech32.encode(prefix, key)
      const index = text.lastIndexOf("1") + 1 + at
      const was = alphabet.indexOf(text[index] ?? "")
      const wrong = alphabet[(was + 1 + other) % alphabet.length]
      expect(Bech32.decode(text.slice(0, index) + wrong + text.slice(index + 1))).toBeUndefined()
    }
  )
  // BIP 173, its list of valid strings.
  it("decodes the strings of BIP 173", () => {
    expect(Bech32.decode("A12UEL5L")).toEqual({ prefix: "a", bytes: new Uint8Array() })
    expect(
      Bech32.decode("split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w")?.prefix
    ).toBe("split")
    expect(
      Bech32.decode("split1checkupstagehandshakeupstreamerranterredcaperred2y9e3W")
    ).toBeUndefined()
  })
})

describe("Secret", () => {
  const secret = new Secret(Buffer.from("correct horse battery staple"))

  it("never prints", () => {
    const shown = [
      `${secret}`,
      String(secret),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: [secret] }, { depth: 9, showHidden: true })
    ]
    for (const text of shown) {
      expect(text).toContain("<secret>")
      expect(text).not.toContain("horse")
      expect(text).not.toContain(Hex.encode(Buffer.from("horse")))
    }
  })
  it("holds its own copy", () => {
    const given = Buffer.from("abcd")
    const copy = new Secret(given)
    given.fill(0)
    expect(copy.isZero).toBe(false)
  })
  it.prop("equals only equal bytes", { a: bytes, b: bytes }, ({ a, b }) => {
    expect(new Secret(a).equals(new Secret(a))).toBe(true)
    expect(new Secret(a).equals(new Secret(b))).toBe(Buffer.compare(a, b) === 0)
  })
})

describe("Printable", () => {
  const dangerous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

  it.prop("leaves no dangerous character", { text: FastCheck.fullUnicodeString() }, ({ text }) => {
    expect(Printable.block(text)).not.toMatch(dangerous)
    expect(Printable.line(text)).not.toMatch(/[\n\t]/)
  })
  it.prop("makes any bytes printable", { bytes }, ({ bytes }) => {
    expect(Printable.bytes(bytes)).not.toMatch(dangerous)
  })
  it.prop("formats JSON without them", { value: FastCheck.jsonValue() }, ({ value }) => {
    const json = Printable.json(value)
    expect(json).not.toMatch(/\n|\t/)
    expect(json).not.toMatch(dangerous)
    expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)))
  })
  it("escapes in JSON what ends a line or reorders it", () => {
    const text = "\u0085\u009b\u2028\u2029\u202e\u{e0041}\u007f"
    const json = Printable.json({ [text]: text })
    expect(json).toMatch(/^[\x20-\x7e]+$/)
    expect(JSON.parse(json)).toEqual({ [text]: text })
  })
  it("escapes visibly", () => {
    expect(Printable.line("a\u001b[31mb\r\n\u202ec")).toBe("a\\x1b[31mb\\x0d\\x0a\\u202ec")
    expect(Printable.bytes(Buffer.from([0x61, 0xff, 0x0a]))).toBe("a\\xff\n")
  })
})
