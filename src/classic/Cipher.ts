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

/** The ciphertext was made with another key, or was changed. The two are not distinguished. */
export class DecryptFailed extends Data.TaggedError("DecryptFailed") {
  override get message(): string {
    return "the message does not open with this key and cipher"
  }
}

/**
 * Encrypts and decrypts single messages with the key of a `KeyStore`.
 *
 * @example
 * const program = Effect.gen(function* () {
 *   const cipher = yield* Cipher
 *   return yield* cipher.decrypt(yield* cipher.encrypt(Buffer.from("Hello Server!")))
 * })
 * const keys = KeyStore.layerFile("./aes_gcm.key")
 * Effect.provide(program, Cipher.layerAes256Gcm.pipe(Layer.provide(keys)))
 */
export class Cipher extends Context.Tag("sealwire/classic/Cipher")<Cipher, Cipher.Shape>() {
  /** A cipher of the given kind. The layer loads its key when it is built. */
  static readonly layer = <Key>(
    kind: CipherKind<Key>
  ): Layer.Layer<Cipher, KeyLoadError, KeyStore> =>
    Layer.effect(
      Cipher,
      Effect.gen(function* () {
        const store = yield* KeyStore
        const keyed = kind.make(yield* store.load(kind.key))
        return {
          kind,
          encrypt: (plaintext) => Effect.sync(() => keyed.encrypt(plaintext)),
          decrypt: (ciphertext) =>
            Effect.suspend(() => {
              const plaintext = keyed.decrypt(ciphertext)
              return plaintext === undefined ? new DecryptFailed() : Effect.succeed(plaintext)
            })
        }
      })
    )

  /** AES-128-CBC with a fixed IV, as in the original C++ pair. Changes are not detected. */
  static readonly layerInsecureAes128Cbc = Cipher.layer(InsecureAes128Cbc)

  /** A128CBC-HS256 (RFC 7518) with keys derived from `aes_key.bin`. */
  static readonly layerAes128CbcHmacSha256 = Cipher.layer(Aes128CbcHmacSha256)

  /** AES-256-GCM with a classic GCM key. */
  static readonly layerAes256Gcm = Cipher.layer(Aes256Gcm)
}

export declare namespace Cipher {
  /** The operations of a Cipher. */
  interface Shape {
    readonly kind: CipherKind<never> | CipherKind<unknown>
    /** Returns the ciphertext with everything that decryption needs except the key. */
    readonly encrypt: (plaintext: Uint8Array) => Effect.Effect<Uint8Array>
    /** Returns the plaintext. */
    readonly decrypt: (ciphertext: Uint8Array) => Effect.Effect<Uint8Array, DecryptFailed>
  }
}
