// One-time codes as people write and type them.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Code from "../../src/bytes/Code.ts"
import { Secret } from "../../src/bytes/Secret.ts"

const codes = FastCheck.uint8Array({ minLength: Code.length, maxLength: Code.length }).map(
  (bytes) => new Secret(bytes)
)

const decodedHex = (text: string) => {
  const code = Code.decode(text)
  return code === undefined ? undefined : Buffer.from(code.expose()).toString("hex")
}

const hex = (code: Secret) => Buffer.from(code.expose()).toString("hex")
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

describe("a code", () => {
  it.prop("is seven groups of four, and round-trips", { code: codes }, ({ code }) => {
    expect(Code.encode(code)).toMatch(/^(?:[0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/)
    expect(decodedHex(Code.encode(code))).toBe(hex(code))
  })

  it("matches the example of PAIRING.md", () =>
    expect(Code.encode(new Secret(Buffer.from("000102030405060708090a0b0c0d0e0f", "hex")))).toBe(
      "000G-40R4-0M30-E209-185G-R38E-1WKS"
    ))

  it.prop(
    "decodes lower case, any dashes and blanks, O for 0, I and L for 1",
    {
      code: codes,
      separator: FastCheck.constantFrom("", " ", "-", " - ", "–", "\t"),
      one: FastCheck.constantFrom("i", "I", "l", "L")
    },
    ({ code, separator, one }) => {
      const typed = Code.encode(code)
        .toLowerCase()
        .split("-")
        .join(separator)
        .replaceAll("0", "o")
        .replaceAll("1", one)
      expect(decodedHex(` ${typed}\r\n`)).toBe(hex(code))
    }
  )

  it.prop(
    "is rejected with one character changed, lost or doubled",
    { code: codes },
    ({ code }) => {
      const text = Code.encode(code).replaceAll("-", "")
      for (let at = 0; at < text.length; at++) {
        for (const other of alphabet)
          if (other !== text[at])
            expect(decodedHex(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined()
        expect(decodedHex(text.slice(0, at) + text.slice(at + 1))).toBeUndefined()
        expect(decodedHex(text.slice(0, at) + text.charAt(at) + text.slice(at))).toBeUndefined()
      }
    },
    { fastCheck: { numRuns: 20 } }
  )

  it.prop("is rejected with two neighbours swapped", { code: codes }, ({ code }) => {
    const text = Code.encode(code).replaceAll("-", "")
    for (let at = 0; at + 1 < text.length; at++) {
      const swapped = text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2)
      if (swapped !== text) expect(decodedHex(swapped)).toBeUndefined()
    }
  })

  it.prop(
    "is not decoded from other text",
    { text: FastCheck.string({ maxLength: 60 }) },
    ({ text }) => {
      expect(decodedHex(text)).toBeUndefined()
    }
  )

  it.prop(
    "is recognised with a character too many, too few or wrong, in any grouping",
    {
      code: codes,
      at: FastCheck.nat(27),
      slip: FastCheck.constantFrom("", "x", "?x", "OO", "-", " ")
    },
    ({ code, at, slip }) => {
      const text = Code.encode(code).replaceAll("-", "")
      const typed = `${text.slice(0, at)}${slip.replace("?", "")}${text.slice(at + 1)}`
      expect(Code.looksLike(typed)).toBe(true)
      expect(Code.looksLike(Code.encode(code).toLowerCase())).toBe(true)
    }
  )

  it.each([
    "",
    "mail",
    "mail.example:8080",
    "127.0.0.1:8080",
    "[fe80::1]:8080",
    "/run/sealwire/socket",
    "server-two"
  ])("is not recognised in an address: %j", (text) => expect(Code.looksLike(text)).toBe(false))

  it("rejects letters outside its alphabet", () => {
    const text = Code.encode(new Secret(Buffer.alloc(Code.length)))
    expect(decodedHex(text)).toBe("00".repeat(Code.length))
    for (const wrong of ["U", "é", "０", "*", "_"])
      expect(decodedHex(`${wrong}${text.slice(1)}`)).toBeUndefined()
  })
})
