import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import * as Environment from "../../src/keys/Environment.ts"

const environ =
  (...entries: ReadonlyArray<string>) =>
  () =>
    Buffer.from(entries.map((entry) => `${entry}\0`).join(""), "latin1")

const read = (value: string | undefined, original: () => Uint8Array) =>
  Environment.variable("A", value === undefined ? {} : { A: value }, original)

const unseen = () => {
  throw new Error("not Linux")
}

describe("a variable", () => {
  it.for([
    ["not set", undefined, unseen, Either.right(undefined)],
    ["of ordinary text", "é", unseen, Either.right("é")],
    ["with invalid bytes", "a\ufffd", environ("B=x", "A=a\xff", "C=y"), "is not valid UTF-8"],
    ["with a true U+FFFD", "\ufffd", environ("A=\xef\xbf\xbd"), Either.right("\ufffd")],
    ["that the program has set", "\ufffd", environ("A=other\xff"), Either.right("\ufffd")],
    ["that is not in the original ones", "\ufffd", environ("AA=\xff"), Either.right("\ufffd")],
    ["without its end", "\ufffd", () => Buffer.from("A=\xff", "latin1"), "is not valid UTF-8"],
    ["with half of a surrogate pair", "\ud800", unseen, "is not valid UTF-8"]
  ] as const)("%s", ([, value, original, expected]) => {
    expect(read(value, original)).toEqual(
      typeof expected === "string" ? Either.left(expected) : expected
    )
  })

  it("with U+FFFD is refused where the bytes cannot be seen", () => {
    expect(read("\ufffd", unseen)).toEqual(
      Either.left(expect.stringMatching(/^contains U\+FFFD, .* does not show the bytes$/))
    )
  })
})

describe("a passphrase", () => {
  it("with half of a surrogate pair is refused: all of them would be equal", () => {
    expect(() => Passphrase.fromText("a\ud800")).toThrow(RangeError)
  })
})
