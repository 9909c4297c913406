// The laws of a key store.
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import * as Bech32 from "../bytes/Bech32.ts"
import * as Hex from "../bytes/Hex.ts"
import { Secret } from "../bytes/Secret.ts"
import { ClassicGcmKey, ClassicKey } from "../keys/KeyKind.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import * as KeyText from "../keys/KeyText.ts"
import { Passphrase } from "../keys/Passphrase.ts"
import * as ProtectedKey from "../keys/ProtectedKey.ts"
import type { Runner } from "./Runner.ts"

/** A key provider under test. */
export interface KeyStoreSubject {
  /** A store with this content, or an empty one. */
  readonly layerWith: (content?: string) => Layer.Layer<KeyStore>
  /** The error tag of an empty store. */
  readonly missingTag: "KeyFileMissing" | "KeyUnavailable"
  /** True when the provider can create keys. */
  readonly canCreate: boolean
  /**
   * Runs per property, and invalid contents out of all, for providers that start a process each
   * time. Default: 30, and all.
   */
  readonly numRuns?: number
}

const secretOf = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) =>
  bytes.slice(0, 16).some((byte) => byte !== 0)
)

const load = Effect.flatMap(KeyStore, (store) => store.load(ClassicKey))

const passphrase = Passphrase.fromText("x")
let protectedText: Promise<string> | undefined
/** A protected key with the weakest accepted parameters, so that it opens quickly; made once. */
const protectedKey = () =>
  (protectedText ??= ProtectedKey.wrapAsText(
    ClassicKey,
    new Secret(Buffer.alloc(32, 9)),
    passphrase,
    { log2N: 15, r: 8, p: 1 }
  ))

/**
 * Defines the laws that every key provider must satisfy, as tests of the runner.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * keyStoreLaws(vitest, {
 *   layerWith: (content) => KeyStore.layerLocation(myLocation(content)),
 *   missingTag: "KeyUnavailable",
 *   canCreate: false
 * })
 */
export const keyStoreLaws = (
  vitest: Runner,
  { layerWith, missingTag, canCreate, numRuns = 30 }: KeyStoreSubject
): void => {
  const { expect, it } = vitest

  const textOf = (secret: Uint8Array) => Bech32.encode(ClassicKey.prefix, secret)
  const rejectionOf = (content: string) =>
    Effect.flip(load).pipe(Effect.provide(layerWith(content)))

  it.live.prop(
    "loads the stored key in every text form",
    { secret: secretOf, upper: FastCheck.boolean() },
    ({ secret, upper }) =>
      Effect.gen(function* () {
        const hex = Hex.encode(secret)
        for (const text of [
          textOf(secret),
          `# mine\n\n  ${textOf(secret)}  \r\n`,
          upper ? hex.toUpperCase() : `${hex}\n`
        ]) {
          const key = yield* Effect.provide(load, layerWith(text))
          expect(Buffer.concat([key.key.expose(), key.iv.expose()])).toEqual(Buffer.from(secret))
        }
      }),
    { fastCheck: { numRuns } }
  )

  it.effect("reports a missing key", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(load).pipe(Effect.provide(layerWith())))._tag).toBe(missingTag)
    })
  )

  it.live("opens a passphrase-protected key", () =>
    Effect.gen(function* () {
      const protectedText = yield* Effect.promise(protectedKey)
      const { key } = yield* load.pipe(
        Effect.provideService(Passphrase, Passphrase.always(passphrase)),
        Effect.provide(layerWith(protectedText))
      )
      expect(key.expose()).toEqual(Buffer.alloc(16, 9))
      const refused = yield* Effect.flip(Effect.provide(load, layerWith(protectedText)))
      expect([refused._tag, refused.message]).toEqual([
        "KeyUnavailable",
        expect.stringContaining("it is protected by a passphrase")
      ])
    })
  )

  it.effect("rejects invalid content, with the reason", () =>
    Effect.gen(function* () {
      const valid = textOf(Secret.random(32).expose())
      const cases = [
        ["wrong kind", Bech32.encode(ClassicGcmKey.prefix, Secret.random(32).expose())],
        ["damaged", valid.replace(/.$/, (last) => (last === "Q" ? "P" : "Q"))],
        ["damaged", `${valid}\n${valid}`],
        ["wrong length", Bech32.encode(ClassicKey.prefix, Secret.random(31).expose())],
        ["wrong length", "hello"],
        ["wrong length", "# only a comment"],
        ["wrong length", `${valid}\n`.padEnd(KeyText.maxKeyText + 1, "#")],
        ["wrong length", "#\n".repeat(40_000)],
        ["all zero", "0".repeat(64)],
        ["all zero", "0".repeat(32) + "1".repeat(32)]
      ] as const
      const count = Math.min(numRuns, cases.length)
      const some = FastCheck.shuffledSubarray([...cases], { minLength: count, maxLength: count })
      for (const [reason, content] of FastCheck.sample(some, 1).flat()) {
        const error = yield* rejectionOf(content)
        expect([error._tag, error._tag === "KeyRejected" && error.reason]).toEqual([
          "KeyRejected",
          reason
        ])
        expect(error.message).not.toContain(content.slice(-20))
        expect(error.message).not.toContain("\n")
      }
    })
  )

  it.effect("creates a key once, and loads it again", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore
      if (!canCreate) {
        expect((yield* Effect.flip(store.create(ClassicKey)))._tag).toBe("KeyNotCreated")
        expect(yield* store.createIfMissing(ClassicKey)).toBe(false)
        return
      }
      for (const kind of [ClassicKey]) {
        expect(yield* store.createIfMissing(kind)).toBe(true)
        const first = yield* store.load(kind)
        expect(yield* store.createIfMissing(kind)).toBe(false)
        expect((yield* Effect.flip(store.create(kind)))._tag).toBe("KeyExists")
        expect((yield* store.load(kind)).key.equals(first.key)).toBe(true)
      }
    }).pipe(Effect.provide(layerWith()))
  )

  it.effect("creates a different key each time", () =>
    Effect.gen(function* () {
      if (!canCreate) return
      const created = Effect.flatMap(KeyStore, (store) =>
        Effect.zipRight(store.create(ClassicKey), store.load(ClassicKey))
      )
      const [one, other] = yield* Effect.all([
        Effect.provide(created, layerWith()),
        Effect.provide(created, layerWith())
      ])
      expect(one.key.equals(other.key)).toBe(false)
    })
  )

  it.effect("does not overwrite existing content", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore
      expect((yield* Effect.flip(store.create(ClassicKey)))._tag).toBe(
        canCreate ? "KeyExists" : "KeyNotCreated"
      )
    }).pipe(Effect.provide(layerWith("not a key")))
  )
}
