// Keys, passphrases and addresses from the program's configuration.
import { it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { Passphrase, wrapAsText } from "../../src/keys/Passphrase.ts"
import * as PublicKey from "../../src/keys/PublicKey.ts"
import * as Address from "../../src/transports/Address.ts"
import { cheapestScrypt } from "../fixtures/scrypt.ts"

const from = (entries: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(entries))))

describe("configuration", () => {
  it.effect("has an address", () =>
    Effect.gen(function* () {
      expect(yield* Address.config("AT").pipe(from({ AT: "[::1]:8080" }))).toEqual(
        Address.tcp("::1", 8080)
      )
      const failed = yield* Effect.flip(Address.config("AT").pipe(from({ AT: "host:99999" })))
      expect(String(failed)).toContain("99999")
    })
  )

  it.effect("has a public key", () =>
    Effect.gen(function* () {
      const { publicKey } = generate()
      const KEY = PublicKey.encode(publicKey)
      expect(yield* PublicKey.config("KEY").pipe(from({ KEY }))).toEqual(Uint8Array.from(publicKey))
      expect(
        String(yield* Effect.flip(PublicKey.config("KEY").pipe(from({ KEY: KEY.slice(1) }))))
      ).toContain("not a public key")
    })
  )

  const load = Effect.flatMap(KeyStore, (store) => store.load(SharedKey))
  const keys = Layer.mergeAll(
    KeyStore.layerConfig(Config.redacted("KEY")),
    Passphrase.layer(Config.redacted("WORDS"))
  )

  it.effect("has a key, and its passphrase", () =>
    Effect.gen(function* () {
      const secret = Secret.random(32)
      const KEY = yield* wrapAsText("a key", SharedKey, secret).pipe(
        Effect.provideService(Passphrase, {
          ...Passphrase.always(Passphrase.fromText("correct horse")),
          scrypt: cheapestScrypt
        })
      )
      const loaded = yield* load.pipe(Effect.provide(keys), from({ KEY, WORDS: "correct horse\n" }))
      expect(loaded.equals(secret)).toBe(true)
      const wrong = load.pipe(Effect.provide(keys), from({ KEY, WORDS: "wrong" }))
      expect(yield* Effect.flip(wrong)).toMatchObject({ reason: "wrong passphrase" })
      expect(
        String(yield* Effect.flip(load.pipe(Effect.provide(keys), from({ KEY, WORDS: "" }))))
      ).toContain("it has no passphrase as its first line")
    })
  )

  it.effect("tells no secret in its errors", () =>
    Effect.gen(function* () {
      const text = KeyText.encode(SharedKey, Secret.random(32))
      const KEY = text.trimEnd().slice(0, -1)
      const failed = yield* Effect.flip(load.pipe(Effect.provide(keys), from({ KEY, WORDS: "w" })))
      expect(failed).toMatchObject({ _tag: "KeyRejected", reference: "config" })
      expect(String(failed)).not.toContain(KEY.slice(-20))
      const redacted = KeyStore.layerMemory(Redacted.make(KEY))
      expect(String(yield* Effect.flip(Effect.provide(load, redacted)))).not.toContain(
        KEY.slice(-20)
      )
    })
  )
})
