// Streams in the format of `openssl enc -aes-128-cbc -K … -iv …`. It has no integrity: changes are
// not detected.
import { createCipheriv, createDecipheriv } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Pkcs7 from "../bytes/Pkcs7.ts"
import type { ClassicKey } from "../keys/KeyKind.ts"
import { FileTampered } from "./FileErrors.ts"

const cipher = "aes-128-cbc"

/** Encrypts a stream. The ciphertext is 1 to 16 bytes longer. */
export const encrypt = <E>(
  { key, iv }: ClassicKey,
  plaintext: Stream.Stream<Uint8Array, E>
): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    const encryptor = createCipheriv(cipher, key.expose(), iv.expose())
    return Stream.concat(
      Stream.map(plaintext, (bytes): Uint8Array => encryptor.update(bytes)),
      Stream.sync(() => encryptor.final())
    )
  })

/**
 * Decrypts a stream. A wrong key is detected only by the padding at the end, and not always; a
 * changed ciphertext is hardly ever detected.
 */
export const decrypt = <E>(
  { key, iv }: ClassicKey,
  ciphertext: Stream.Stream<Uint8Array, E>,
  file: string
): Stream.Stream<Uint8Array, E | FileTampered> =>
  Stream.suspend(() => {
    const decryptor = createDecipheriv(cipher, key.expose(), iv.expose()).setAutoPadding(false)
    let length = 0
    // The last block holds the padding, so it is not emitted before the end.
    let lastBlock: Uint8Array = Buffer.alloc(0)
    const update = (bytes: Uint8Array): Uint8Array => {
      length += bytes.length
      const plaintext = Buffer.concat([lastBlock, decryptor.update(bytes)])
      const emitted = Math.max(0, plaintext.length - Pkcs7.blockLength)
      lastBlock = plaintext.subarray(emitted)
      return plaintext.subarray(0, emitted)
    }
    const finish = Effect.suspend(() => {
      const isWhole = length > 0 && length % Pkcs7.blockLength === 0
      const end = isWhole ? Pkcs7.unpaddedLength(lastBlock) : -1
      return end < 0
        ? new FileTampered({
            file,
            detail: "is not encrypted with this classic key, or incomplete"
          })
        : Effect.succeed(lastBlock.subarray(0, end))
    })
    return Stream.concat(Stream.map(ciphertext, update), Stream.fromEffect(finish))
  })
