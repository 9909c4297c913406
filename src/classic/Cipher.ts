import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { KeyLoadError } from "../keys/KeyErrors.ts"
import { KeyStore } from "../keys/KeyStore.ts"
import { Aes128CbcHmacSha256 } from "./Aes128CbcHmacSha256.ts"
import { Aes256Gcm } from "./Aes256Gcm.ts"
import type { CipherKind } from "./CipherKind.ts"
import { InsecureAes128Cbc } from "./InsecureAes128Cbc.ts"

/** The bytes were not made under this key, or were changed, cut or extended on the way. It never says which. */
export class DecryptFailed extends Data.TaggedError("DecryptFailed") {
  override get message(): string {
    return "the message does not open with this key and cipher"
  }
}

/**
 * One message in, one sealed message out, under the key of the `KeyStore` below it.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const cipher = yield* Cipher
 *   return yield* cipher.decrypt(yield* cipher.encrypt(Buffer.from("Hello Server!")))
 * })
 * Effect.provide(program, Cipher.layerAes256Gcm.pipe(Layer.provide(KeyStore.layerFile("./aes_gcm.key"))))
 */
export class Cipher extends Context.Tag("sealwire/ciphers/Cipher")<Cipher, Cipher.Shape>() {
  /** The cipher of that kind; its key is loaded when the layer is built. */
  static readonly layer = <Key>(
    kind: CipherKind<Key>
  ): Layer.Layer<Cipher, KeyLoadError, KeyStore> =>
    Layer.effect(
      Cipher,
      Effect.gen(function* () {
        const store = yield* KeyStore
        const sealer = kind.make(yield* store.load(kind.key))
        return {
          kind,
          encrypt: (plaintext) => Effect.sync(() => sealer.encrypt(plaintext)),
          decrypt: (sealed) =>
            Effect.suspend(() => {
              const plaintext = sealer.decrypt(sealed)
              return plaintext === undefined ? new DecryptFailed() : Effect.succeed(plaintext)
            })
        }
      })
    )

  /** The origin's AES-128-CBC with its fixed IV. Anybody on the way can change a message unseen. */
  static readonly layerInsecureAes128Cbc = Cipher.layer(InsecureAes128Cbc)

  /** RFC 7518 A128CBC-HS256, keys by HKDF from the origin's key. */
  static readonly layerAes128CbcHmacSha256 = Cipher.layer(Aes128CbcHmacSha256)

  /** AES-256-GCM under a classic GCM key. */
  static readonly layerAes256Gcm = Cipher.layer(Aes256Gcm)
}

export declare namespace Cipher {
  /** What a Cipher does. */
  interface Shape {
    readonly kind: CipherKind<never> | CipherKind<unknown>
    /** The sealed message, with all that opening it takes but the key. */
    readonly encrypt: (plaintext: Uint8Array) => Effect.Effect<Uint8Array>
    /** The message that was sealed. */
    readonly decrypt: (sealed: Uint8Array) => Effect.Effect<Uint8Array, DecryptFailed>
  }
}
