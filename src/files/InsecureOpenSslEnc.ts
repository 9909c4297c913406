// What `openssl enc -aes-128-cbc -K … -iv …` reads and writes, in pieces. Nothing protects it from change.
import { createCipheriv, createDecipheriv } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Pkcs7 from "../bytes/Pkcs7.ts"
import type { ClassicKey } from "../keys/KeyKind.ts"
import { FileTampered } from "./FileErrors.ts"

const cipher = "aes-128-cbc"

/** The ciphertext of this plaintext: 1 to 16 bytes longer. */
export const encrypt = <E>(
  { key, iv }: ClassicKey,
  plaintext: Stream.Stream<Uint8Array, E>
): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    const sealing = createCipheriv(cipher, key.expose(), iv.expose())
    return Stream.concat(
      Stream.map(plaintext, (bytes): Uint8Array => sealing.update(bytes)),
      Stream.sync(() => sealing.final())
    )
  })

/** The plaintext of this ciphertext. What is no ciphertext of this key is noticed at the end, and mostly; what was changed, hardly ever. */
export const decrypt = <E>(
  { key, iv }: ClassicKey,
  ciphertext: Stream.Stream<Uint8Array, E>,
  file: string
): Stream.Stream<Uint8Array, E | FileTampered> =>
  Stream.suspend(() => {
    const opening = createDecipheriv(cipher, key.expose(), iv.expose()).setAutoPadding(false)
    let length = 0
    // The last block is kept back: it holds the padding.
    let kept: Uint8Array = Buffer.alloc(0)
    const update = (bytes: Uint8Array): Uint8Array => {
      length += bytes.length
      const opened = Buffer.concat([kept, opening.update(bytes)])
      const given = Math.max(0, opened.length - Pkcs7.blockLength)
      kept = opened.subarray(given)
      return opened.subarray(0, given)
    }
    const last = Effect.suspend(() => {
      const whole = length > 0 && length % Pkcs7.blockLength === 0
      const end = whole ? Pkcs7.unpaddedLength(kept) : -1
      return end < 0
        ? new FileTampered({ file, detail: "is not encrypted with this classic key, or not whole" })
        : Effect.succeed(kept.subarray(0, end))
    })
    return Stream.concat(Stream.map(ciphertext, update), Stream.fromEffect(last))
  })
