// The laws of a cipher of the classic system.
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import { Secret } from "../bytes/Secret.ts"
import { Cipher } from "../classic/Cipher.ts"
import type { CipherKind } from "../classic/CipherKind.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import * as KeyText from "../keys/KeyText.ts"
import type { Runner } from "./Runner.ts"

// Under the live clock: to make a test clock for each case takes ten times as long as the case.
const plaintext = FastCheck.uint8Array({ maxLength: 200 })

/**
 * Defines the laws that every `CipherKind` must satisfy, as tests of the runner. A cipher with a
 * `danger` need not detect changes.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * cipherLaws(vitest, MyCipher)
 */
export const cipherLaws = <Key>(vitest: Runner, kind: CipherKind<Key>): void => {
  const { expect, it } = vitest
  const layer = Cipher.layer(kind).pipe(
    Layer.provide(KeyStore.layerMemory(KeyText.encode(kind.key, Secret.random(kind.key.length))))
  )
  const authenticated = kind.danger === undefined

  it.live.prop("decrypts what it has encrypted", { plaintext }, ({ plaintext }) =>
    Effect.gen(function* () {
      const cipher = yield* Cipher
      expect(yield* cipher.decrypt(yield* cipher.encrypt(plaintext))).toEqual(
        Buffer.from(plaintext)
      )
    }).pipe(Effect.provide(layer))
  )

  it.live.prop("does not recover the plaintext under another key", { plaintext }, ({ plaintext }) =>
    Effect.gen(function* () {
      const otherCipher = kind.make(kind.key.make(Secret.random(kind.key.length)))
      const ciphertext = yield* Effect.flatMap(Cipher, (cipher) => cipher.encrypt(plaintext))
      const decrypted = otherCipher.decrypt(ciphertext)
      if (authenticated) expect(decrypted).toBeUndefined()
      else expect(decrypted).not.toEqual(Buffer.from(plaintext))
    }).pipe(Effect.provide(layer))
  )

  it.live.prop(
    authenticated
      ? "hides the plaintext, and never produces the same ciphertext twice"
      : "hides the plaintext",
    { text: FastCheck.uint8Array({ minLength: 16, maxLength: 200 }) },
    ({ text }) =>
      Effect.gen(function* () {
        const cipher = yield* Cipher
        const [first, second] = [
          Buffer.from(yield* cipher.encrypt(text)),
          Buffer.from(yield* cipher.encrypt(text))
        ]
        expect(first.includes(Buffer.from(text))).toBe(false)
        // A repeated nonce reveals both plaintexts and, with GCM, permits forgeries.
        if (authenticated) expect(first.equals(second)).toBe(false)
      }).pipe(Effect.provide(layer))
  )

  it.effect(
    "decrypts every length from 0 to 70, and recovers the plaintext from no truncation",
    () =>
      Effect.gen(function* () {
        const cipher = yield* Cipher
        for (let length = 0; length <= 70; length++) {
          const text = Secret.random(length).expose()
          const ciphertext = yield* cipher.encrypt(text)
          expect(yield* cipher.decrypt(ciphertext)).toEqual(Buffer.from(text))
          for (const cut of [0, 1, 15, 16, 17, ciphertext.length - 1].filter(
            (cut) => cut < ciphertext.length
          )) {
            const result = yield* Effect.either(cipher.decrypt(ciphertext.subarray(0, cut)))
            if (authenticated || cut % 16 !== 0 || cut === 0) expect(result._tag).toBe("Left")
            else if (result._tag === "Right") expect(result.right).not.toEqual(Buffer.from(text))
          }
        }
      }).pipe(Effect.provide(layer))
  )

  it.live.prop(
    "does not recover the plaintext after a flipped bit",
    { plaintext, bit: FastCheck.nat() },
    ({ plaintext, bit }) =>
      Effect.gen(function* () {
        const cipher = yield* Cipher
        const ciphertext = Buffer.from(yield* cipher.encrypt(plaintext))
        const at = bit % (ciphertext.length * 8)
        ciphertext[at >> 3] = (ciphertext[at >> 3] ?? 0) ^ (1 << (at & 7))
        const result = yield* Effect.either(cipher.decrypt(ciphertext))
        if (authenticated) expect(result._tag).toBe("Left")
        else if (result._tag === "Right") expect(result.right).not.toEqual(Buffer.from(plaintext))
      }).pipe(Effect.provide(layer))
  )

  it.effect("reports a failure without its reason", () =>
    Effect.gen(function* () {
      const cipher = yield* Cipher
      const errors = yield* Effect.forEach([0, 1, 15, 17, 33], (length) =>
        Effect.flip(cipher.decrypt(Buffer.alloc(length, 1)))
      )
      for (const error of errors) {
        expect(error._tag).toBe("DecryptFailed")
        expect(Object.keys(error).filter((field) => field !== "_tag")).toEqual([])
        expect(error.message).toBe("the message does not open with this key and cipher")
      }
    }).pipe(Effect.provide(layer))
  )
}
