// CipherState beside AES-256-GCM of node:crypto with the nonce written out. Noise sections 4.2,
// 5.1 and 12.4.
import { createCipheriv } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Secret } from "../../src/bytes/Secret.ts"
import { CipherState, maxMessageBytes } from "../../src/noise/CipherState.ts"

const none = new Uint8Array(0)
const key = Buffer.from(Array.from({ length: 32 }, (_, index) => index + 1))

const ok = (result: Uint8Array | string): Buffer => {
  if (typeof result === "string") throw new Error(result)
  return Buffer.from(result)
}

const pair = (secret: Uint8Array = Secret.random(32).expose()) =>
  [new CipherState(secret), new CipherState(secret)] as const

/** ENCRYPT(k, n, ad, plaintext), with the 12 bytes of the nonce in hexadecimal. */
const encrypt = (k: Uint8Array, nonce: string, ad: Uint8Array, plaintext: Uint8Array): Buffer => {
  const cipher = createCipheriv("aes-256-gcm", k, Buffer.from(nonce, "hex"))
  cipher.setAAD(ad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

describe("a message", () => {
  it.each([
    [0n, "000000000000000000000000"],
    [1n, "000000000000000000000001"],
    [2n ** 32n - 1n, "0000000000000000ffffffff"],
    [2n ** 32n, "000000000000000100000000"],
    [2n ** 33n + 7n, "000000000000000200000007"],
    [2n ** 64n - 2n, "00000000fffffffffffffffe"]
  ])("with n = %s has the nonce %s", (n, nonce) => {
    const [a, b] = pair(key)
    for (const state of [a, b]) state.setNonce(n)
    expect(a.n).toBe(n)
    const sealed = ok(a.encryptWithAd(Buffer.from("ad"), Buffer.from("text")))
    expect(sealed).toEqual(encrypt(key, nonce, Buffer.from("ad"), Buffer.from("text")))
    expect(ok(b.decryptWithAd(Buffer.from("ad"), sealed)).toString()).toBe("text")
    expect([a.n, b.n]).toEqual([n + 1n, n + 1n])
  })

  it("follows one after the other beyond 32 bits of n", () => {
    const [a, b] = pair(key)
    for (const state of [a, b]) state.setNonce(2n ** 32n - 1n)
    for (const nonce of ["0000000000000000ffffffff", "000000000000000100000000"]) {
      const sealed = ok(a.encryptWithAd(none, Buffer.from("x")))
      expect(sealed).toEqual(encrypt(key, nonce, none, Buffer.from("x")))
      ok(b.decryptWithAd(none, sealed))
    }
    expect([a.n, b.n]).toEqual([2n ** 32n + 1n, 2n ** 32n + 1n])
  })

  it("in parts, at an offset, is the one of the whole", () => {
    const [a] = pair(key)
    const target = Buffer.alloc(3 + 7 + 16 + 2, 0xee)
    const parts = [Buffer.from("abc"), none, Buffer.from("defg")]
    expect(a.encryptInto(target, 3, Buffer.from("ad"), parts)).toBeUndefined()
    const whole = encrypt(key, "00".repeat(12), Buffer.from("ad"), Buffer.from("abcdefg"))
    expect(target).toEqual(Buffer.concat([Buffer.alloc(3, 0xee), whole, Buffer.alloc(2, 0xee)]))
  })

  it("has at most 65,535 bytes, the tag of 16 included", () => {
    expect(maxMessageBytes).toBe(65_535)
    const [a, b] = pair()
    const sealed = ok(a.encryptWithAd(none, Buffer.alloc(65_519)))
    expect(sealed.length).toBe(65_535)
    expect(ok(b.decryptWithAd(none, sealed)).length).toBe(65_519)
    expect(a.encryptWithAd(none, Buffer.alloc(65_520))).toBe("too long")
    expect(b.decryptWithAd(none, Buffer.alloc(65_536))).toBe("too long")
  })

  it.prop(
    "with different associated data fails to decrypt",
    { ad: FastCheck.uint8Array(), other: FastCheck.uint8Array() },
    ({ ad, other }) => {
      const [a, b] = pair()
      const opened = b.decryptWithAd(other, ok(a.encryptWithAd(ad, Buffer.from("x"))))
      expect(typeof opened !== "string").toBe(Buffer.compare(ad, other) === 0)
    }
  )
})

describe("a state", () => {
  it.each([0, 16, 31, 33, 64])("rejects a key of %i bytes", (length) => {
    expect(() => new CipherState(Buffer.alloc(length, 1))).toThrow(
      `a Noise cipher key has 32 bytes, not ${length}`
    )
  })

  it("is of no use after a message that does not decrypt; n does not advance", () => {
    const [a, b] = pair()
    const [first, second] = ["one", "two"].map((text) =>
      ok(a.encryptWithAd(none, Buffer.from(text)))
    )
    expect(b.decryptWithAd(none, second as Buffer)).toBe("decrypt failed")
    expect(b.n).toBe(0n)
    expect(b.decryptWithAd(none, first as Buffer)).toBe("out of turn")
    expect(b.encryptWithAd(none, none)).toBe("out of turn")
  })

  it("needs a tag, and opens a message that is nothing else", () => {
    const [a, b] = pair()
    expect(pair()[1].decryptWithAd(none, Buffer.alloc(15))).toBe("too short")
    expect(ok(b.decryptWithAd(none, ok(a.encryptWithAd(none, none)))).length).toBe(0)
  })

  it("never uses n = 2^64-1", () => {
    const [a, b] = pair()
    for (const state of [a, b]) state.setNonce(2n ** 64n - 1n)
    expect(a.encryptWithAd(none, none)).toBe("nonce exhausted")
    expect(b.decryptWithAd(none, Buffer.alloc(16))).toBe("nonce exhausted")
  })

  it('rekeys to the first 32 bytes of ENCRYPT(k, 2^64-1, "", zeros), and keeps n', () => {
    const [a, b] = pair(key)
    ok(b.decryptWithAd(none, ok(a.encryptWithAd(none, none))))
    for (const state of [a, b]) state.rekey()
    const next = encrypt(key, "00000000ffffffffffffffff", none, Buffer.alloc(32)).subarray(0, 32)
    expect([a.n, b.n]).toEqual([1n, 1n])
    const sealed = ok(a.encryptWithAd(none, Buffer.from("after")))
    expect(sealed).toEqual(encrypt(next, "000000000000000000000001", none, Buffer.from("after")))
    expect(ok(b.decryptWithAd(none, sealed)).toString()).toBe("after")
  })
})
