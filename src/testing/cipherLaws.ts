// The laws of a cipher of the classic system, the same for every kind.
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import { Secret } from "../bytes/Secret.ts"
import { Cipher } from "../classic/Cipher.ts"
import type { CipherKind } from "../classic/CipherKind.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import * as KeyText from "../keys/KeyText.ts"
import type { Runner } from "./Runner.ts"

const plaintext = FastCheck.uint8Array({ maxLength: 200 })

/**
 * The laws of a cipher, as tests of the runner that is given: for every `CipherKind`. One with a `danger` need not notice a change.
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

  it.effect.prop("what is sealed opens", { plaintext }, ({ plaintext }) =>
    Effect.gen(function* () {
      const cipher = yield* Cipher
      expect(yield* cipher.decrypt(yield* cipher.encrypt(plaintext))).toEqual(
        Buffer.from(plaintext)
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect.prop("under another key it does not open as it was", { plaintext }, ({ plaintext }) =>
    Effect.gen(function* () {
      const other = kind.make(kind.key.make(Secret.random(kind.key.length)))
      const sealed = yield* Effect.flatMap(Cipher, (cipher) => cipher.encrypt(plaintext))
      const opened = other.decrypt(sealed)
      if (authenticated) expect(opened).toBeUndefined()
      else expect(opened).not.toEqual(Buffer.from(plaintext))
    }).pipe(Effect.provide(layer))
  )

  it.effect.prop(
    authenticated
      ? "the text is not in what is sealed, which is never the same twice"
      : "the text is not in what is sealed",
    { text: FastCheck.uint8Array({ minLength: 16, maxLength: 200 }) },
    ({ text }) =>
      Effect.gen(function* () {
        const cipher = yield* Cipher
        const [once, again] = [
          Buffer.from(yield* cipher.encrypt(text)),
          Buffer.from(yield* cipher.encrypt(text))
        ]
        expect(once.includes(Buffer.from(text))).toBe(false)
        // A nonce that is used twice gives away both texts, and to GCM and its like also how to forge.
        if (authenticated) expect(once.equals(again)).toBe(false)
      }).pipe(Effect.provide(layer))
  )

  it.effect("every length from 0 to 70 opens, and no truncation opens as it was", () =>
    Effect.gen(function* () {
      const cipher = yield* Cipher
      for (let length = 0; length <= 70; length++) {
        const text = Secret.random(length).expose()
        const sealed = yield* cipher.encrypt(text)
        expect(yield* cipher.decrypt(sealed)).toEqual(Buffer.from(text))
        for (const cut of [0, 1, 15, 16, 17, sealed.length - 1].filter(
          (cut) => cut < sealed.length
        )) {
          const result = yield* Effect.either(cipher.decrypt(sealed.subarray(0, cut)))
          if (authenticated || cut % 16 !== 0 || cut === 0) expect(result._tag).toBe("Left")
          else if (result._tag === "Right") expect(result.right).not.toEqual(Buffer.from(text))
        }
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect.prop(
    "no flipped bit opens as it was",
    { plaintext, bit: FastCheck.nat() },
    ({ plaintext, bit }) =>
      Effect.gen(function* () {
        const cipher = yield* Cipher
        const sealed = Buffer.from(yield* cipher.encrypt(plaintext))
        const at = bit % (sealed.length * 8)
        sealed[at >> 3] = (sealed[at >> 3] ?? 0) ^ (1 << (at & 7))
        const result = yield* Effect.either(cipher.decrypt(sealed))
        if (authenticated) expect(result._tag).toBe("Left")
        else if (result._tag === "Right") expect(result.right).not.toEqual(Buffer.from(plaintext))
      }).pipe(Effect.provide(layer))
  )

  it.effect("a failure says nothing about why", () =>
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
