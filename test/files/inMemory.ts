// Encrypts and decrypts files in memory.
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Secret } from "../../src/bytes/Secret.ts"
import * as EncryptedFile from "../../src/files/EncryptedFile.ts"
import type { DecryptionKeys } from "../../src/files/Stanzas.ts"
import type { Recipients } from "../../src/files/Recipients.ts"
import { Passphrase } from "../../src/keys/Passphrase.ts"
import { cheapestScrypt } from "../fixtures/scrypt.ts"

export const withPassphrase =
  (passphrase: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, Passphrase, {
      ...Passphrase.always(Passphrase.fromText(passphrase)),
      scrypt: cheapestScrypt
    })

const collect = <E>(stream: Stream.Stream<Uint8Array, E>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Buffer.concat(Chunk.toReadonlyArray(chunks)))

export const encryptToBuffer = (to: Recipients, plaintext: Uint8Array, passphrase = "") =>
  Effect.runPromise(
    collect(EncryptedFile.encryptStream(to)(Stream.make(plaintext))).pipe(
      withPassphrase(passphrase)
    )
  )

/**
 * Returns the plaintext and the origin, or the error and the number of plaintext bytes before it.
 */
export const decryptBuffer = (file: Uint8Array, keys: DecryptionKeys, passphrase = "") =>
  Effect.gen(function* () {
    const opened = yield* Effect.either(
      EncryptedFile.decryptStream(Stream.make(file), keys, "x.sealed")
    )
    if (Either.isLeft(opened)) return { error: opened.left, released: 0 }
    const { origin, content } = opened.right
    const parts: Array<Uint8Array> = []
    const end = yield* Effect.either(
      Stream.runForEach(content, (part) => Effect.sync(() => parts.push(part)))
    )
    const plaintext = Buffer.concat(parts)
    return Either.isLeft(end)
      ? { error: end.left, released: plaintext.length }
      : { origin, plaintext }
  }).pipe(Effect.scoped, withPassphrase(passphrase), Effect.runPromise)

export const fileKey = (key: Secret): DecryptionKeys => ({ fileKey: Effect.succeed(key) })
