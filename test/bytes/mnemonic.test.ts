// Mnemonic: the vectors of BIP 39 (github.com/trezor/python-mnemonic, vectors.json), and round
// trips.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Effect from "effect/Effect"
import * as Hex from "../../src/bytes/Hex.ts"
import * as Mnemonic from "../../src/bytes/Mnemonic.ts"

const vectors = [
  [
    "00000000000000000000000000000000",
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
  ],
  [
    "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
    "legal winner thank year wave sausage worth useful legal winner thank yellow"
  ],
  [
    "80808080808080808080808080808080",
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"
  ],
  ["ffffffffffffffffffffffffffffffff", "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"],
  [
    "9e885d952ad362caeb4efe34a8e91bd2",
    "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic"
  ],
  [
    "c0ba5a8e914111210f2bd131f3d5e08d",
    "scheme spot photo card baby mountain device kick cradle pact join borrow"
  ]
] as const

const bytes = (length: number) => FastCheck.uint8Array({ minLength: length, maxLength: length })

describe("a code of twelve words", () => {
  it.each(vectors)("%s matches BIP 39", async (code, words) => {
    expect((await Mnemonic.encodeCode(Buffer.from(code, "hex"))).join(" ")).toBe(words)
    expect(Hex.encode((await Mnemonic.decodeCode(words.split(" "))) ?? new Uint8Array())).toBe(code)
  })

  it.live.prop(
    "round-trips with four letters of each word, in any case",
    { code: bytes(16) },
    ({ code }) =>
      Effect.promise(async () => {
        const words = await Mnemonic.encodeCode(code)
        expect(words).toHaveLength(12)
        for (const typed of [
          words,
          words.map((word) => word.slice(0, 4)),
          words.map((word) => ` ${word.toUpperCase()}`)
        ])
          expect(Buffer.from((await Mnemonic.decodeCode(typed)) ?? [])).toEqual(Buffer.from(code))
      })
  )

  it("is rejected with a missing, extra, moved or unknown word", async () => {
    const words = vectors[4][1].split(" ")
    for (const wrong of [
      words.slice(1),
      [...words, "zoo"],
      [],
      words.toReversed(),
      ["sealwire", ...words.slice(1)],
      ["", ...words.slice(1)]
    ])
      expect(await Mnemonic.decodeCode(wrong)).toBeUndefined()
  })
})

describe("bits as words", () => {
  it.live.prop(
    "round-trip, the last byte padded with zeros",
    { data: bytes(32), count: FastCheck.integer({ min: 1, max: 23 }) },
    ({ data, count }) =>
      Effect.promise(async () => {
        const decoded = (await Mnemonic.decode(await Mnemonic.encode(data, count))) ?? []
        const bits = (from: ArrayLike<number>) =>
          Array.from(from, (byte) => byte.toString(2).padStart(8, "0")).join("")
        expect(bits(decoded)).toBe(
          bits(data)
            .slice(0, count * 11)
            .padEnd(Math.ceil((count * 11) / 8) * 8, "0")
        )
      })
  )

  it("need enough bytes", async () => {
    await expect(Mnemonic.encode(new Uint8Array(8), 6)).rejects.toThrow(RangeError)
    expect(await Mnemonic.decode([])).toEqual(new Uint8Array())
  })
})
