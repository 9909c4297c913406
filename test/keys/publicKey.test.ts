// Public keys have one spelling: a number below 2^255 - 19, little-endian.
import { describe, expect, it } from "@effect/vitest"
import { generate } from "../../src/keys/KeyPair.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"

/** 32 bytes of a number, little-endian. */
const bytesOf = (number: bigint): Buffer =>
  Buffer.from(number.toString(16).padStart(64, "0"), "hex").reverse()

const prime = 2n ** 255n - 19n

describe("isCanonical", () => {
  it.each([0n, 1n, 9n, prime - 1n, 2n ** 254n, prime - 2n ** 248n])("%s is", (number) => {
    expect(PublicKey.isCanonical(bytesOf(number))).toBe(true)
  })
  it.each([prime, prime + 1n, prime + 9n, 2n ** 255n - 1n, 2n ** 255n, 2n ** 256n - 1n])(
    "%s is not",
    (number) => {
      expect(PublicKey.isCanonical(bytesOf(number))).toBe(false)
    }
  )
  it("every generated key is", () => {
    for (let count = 0; count < 50; count++)
      expect(PublicKey.isCanonical(generate().publicKey)).toBe(true)
  })
})
