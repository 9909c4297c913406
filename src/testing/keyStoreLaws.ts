// The laws of a way of keeping keys, the same for every provider.
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

/** A way of keeping keys to be tested. */
export interface KeyStoreSubject {
  /** A store that keeps this content, or nothing. */
  readonly layerWith: (content?: string) => Layer.Layer<KeyStore>
  /** What is said when nothing is there. */
  readonly missingTag: "KeyFileMissing" | "KeyUnavailable"
  /** Whether a key can be made there. */
  readonly canCreate: boolean
  /** How often a property is tried, where that starts a process each time. */
  readonly numRuns?: number
}

const secretOf = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) =>
  bytes.slice(0, 16).some((byte) => byte !== 0)
)

const load = Effect.flatMap(KeyStore, (store) => store.load(ClassicKey))

const passphrase = Passphrase.fromText("x")
/** Opened in a moment: the figures are the lowest that are taken. */
const protectedKey = () =>
  ProtectedKey.wrapAsText(ClassicKey, new Secret(Buffer.alloc(32, 9)), passphrase, {
    log2N: 15,
    r: 8,
    p: 1
  })

/**
 * The laws of a `KeyStore`, as tests of the runner that is given: for every way of keeping keys.
 *
 * @example
 * import * as vitest from "@effect/vitest"
 * keyStoreLaws(vitest, { holding: (content) => KeyStore.layerPlace(myPlace(content)), missing: "KeyUnavailable", creates: false })
 */
export const keyStoreLaws = (
  vitest: Runner,
  { layerWith, missingTag, canCreate, numRuns = 30 }: KeyStoreSubject
): void => {
  const { expect, it } = vitest

  const textOf = (secret: Uint8Array) => Bech32.encode(ClassicKey.prefix, secret)
  const rejection = (content: string) => Effect.flip(load).pipe(Effect.provide(layerWith(content)))

  it.effect.prop(
    "gives the key that is kept, in every text form",
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

  it.effect("says when nothing is there", () =>
    Effect.gen(function* () {
      expect((yield* Effect.flip(load).pipe(Effect.provide(layerWith())))._tag).toBe(missingTag)
    })
  )

  it.live("opens a key that a passphrase protects", () =>
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

  it.effect("refuses, each by its reason", () =>
    Effect.gen(function* () {
      const good = textOf(Secret.random(32).expose())
      const cases = [
        ["wrong kind", Bech32.encode(ClassicGcmKey.prefix, Secret.random(32).expose())],
        ["damaged", good.replace(/.$/, (last) => (last === "Q" ? "P" : "Q"))],
        ["damaged", `${good}\n${good}`],
        ["wrong length", Bech32.encode(ClassicKey.prefix, Secret.random(31).expose())],
        ["wrong length", "hello"],
        ["wrong length", "# only a comment"],
        ["wrong length", `${good}\n`.padEnd(KeyText.maxKeyText + 1, "#")],
        ["wrong length", "#\n".repeat(40_000)],
        ["all zero", "0".repeat(64)],
        ["all zero", "0".repeat(32) + "1".repeat(32)]
      ] as const
      for (const [reason, content] of cases) {
        const error = yield* rejection(content)
        expect([error._tag, error._tag === "KeyRejected" && error.reason]).toEqual([
          "KeyRejected",
          reason
        ])
        expect(error.message).not.toContain(content.slice(-20))
        expect(error.message).not.toContain("\n")
      }
    })
  )

  it.effect("creates one key, once, that loads again", () =>
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

  it.effect("creates another key each time", () =>
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

  it.effect("never creates over something", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore
      expect((yield* Effect.flip(store.create(ClassicKey)))._tag).toBe(
        canCreate ? "KeyExists" : "KeyNotCreated"
      )
    }).pipe(Effect.provide(layerWith("not a key")))
  )
}
