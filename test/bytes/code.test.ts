// A code of one use as people write it, read it aloud, and type it.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Code from "../../src/bytes/Code.ts"
import { Secret } from "../../src/bytes/Secret.ts"

const codes = FastCheck.uint8Array({ minLength: Code.length, maxLength: Code.length }).map(
  (bytes) => new Secret(bytes)
)

const opened = (text: string) => {
  const code = Code.decode(text)
  return code === undefined ? undefined : Buffer.from(code.expose()).toString("hex")
}

const hex = (code: Secret) => Buffer.from(code.expose()).toString("hex")
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

describe("a code", () => {
  it.prop("is seven groups of four, and comes back", { code: codes }, ({ code }) => {
    expect(Code.encode(code)).toMatch(/^(?:[0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/)
    expect(opened(Code.encode(code))).toBe(hex(code))
  })

  it("is written as PAIRING.md has it", () =>
    expect(Code.encode(new Secret(Buffer.from("000102030405060708090a0b0c0d0e0f", "hex")))).toBe(
      "000G-40R4-0M30-E209-185G-R38E-1WKS"
    ))

  it.prop(
    "may be typed in small letters, with other dashes and blanks or none, O for 0, I and L for 1",
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
      expect(opened(` ${typed}\r\n`)).toBe(hex(code))
    }
  )

  it.prop(
    "with any one character changed, lost or doubled is noticed",
    { code: codes },
    ({ code }) => {
      const text = Code.encode(code).replaceAll("-", "")
      for (let at = 0; at < text.length; at++) {
        for (const other of alphabet)
          if (other !== text[at])
            expect(opened(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined()
        expect(opened(text.slice(0, at) + text.slice(at + 1))).toBeUndefined()
        expect(opened(text.slice(0, at) + text.charAt(at) + text.slice(at))).toBeUndefined()
      }
    },
    { fastCheck: { numRuns: 20 } }
  )

  it.prop("with two neighbours that changed places is noticed", { code: codes }, ({ code }) => {
    const text = Code.encode(code).replaceAll("-", "")
    for (let at = 0; at + 1 < text.length; at++) {
      const swapped = text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2)
      if (swapped !== text) expect(opened(swapped)).toBeUndefined()
    }
  })

  it.prop(
    "is no other text, however much it looks like one",
    { text: FastCheck.string({ maxLength: 60 }) },
    ({ text }) => {
      expect(opened(text)).toBeUndefined()
    }
  )

  it.prop(
    "is known for one with a letter too many, too few or wrong, and in groups of any kind",
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
  ])("is not taken for an address: %j", (text) => expect(Code.looksLike(text)).toBe(false))

  it("has no letter that it does not use", () => {
    const text = Code.encode(new Secret(Buffer.alloc(Code.length)))
    expect(opened(text)).toBe("00".repeat(Code.length))
    for (const wrong of ["U", "é", "０", "*", "_"])
      expect(opened(`${wrong}${text.slice(1)}`)).toBeUndefined()
  })
})
