import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"
import { ClassicKey } from "../keys/KeyKind.ts"
import type { CipherKind } from "./CipherKind.ts"
import * as Cbc from "./InsecureAes128Cbc.ts"

const ivLength = 16
const tagLength = 16

/**
 * A128CBC-HS256, RFC 7518 section 5.2.2.1. `key` is MAC key then AES key, 16 bytes each; `iv` has 16 bytes.
 * Ciphertext and 16-byte tag, apart as in the RFC.
 */
export const encrypt = (
  key: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array
) => {
  const ciphertext = Cbc.encrypt(key.subarray(16, 32), iv, plaintext)
  return { ciphertext, tag: authenticate(key, iv, aad, ciphertext) }
}

/** RFC 7518 section 5.2.2.2: the tag is compared, in constant time, before anything is decrypted. Undefined when it differs. */
export const decrypt = (
  key: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array
): Uint8Array | undefined =>
  tag.length === tagLength && timingSafeEqual(authenticate(key, iv, aad, ciphertext), tag)
    ? Cbc.decrypt(key.subarray(16, 32), iv, ciphertext)
    : undefined

/** HMAC-SHA-256 over AAD, IV, ciphertext and AL (the bits of the AAD, 64-bit big-endian), cut to 16 bytes. */
const authenticate = (
  key: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array
): Uint8Array => {
  const al = Buffer.alloc(8)
  al.writeBigUInt64BE(BigInt(aad.length) * 8n)
  return createHmac("sha256", key.subarray(0, 16))
    .update(aad)
    .update(iv)
    .update(ciphertext)
    .update(al)
    .digest()
    .subarray(0, tagLength)
}

/** RFC 5869 with SHA-256: the origin's 16-byte AES key becomes the 32 bytes of this cipher; its fixed IV is not used. */
const derive = (key: Secret): Secret =>
  new Secret(
    new Uint8Array(
      hkdfSync("sha256", key.expose(), new Uint8Array(0), "sealwire classic A128CBC-HS256 v1", 32)
    )
  )

const noAad = new Uint8Array(0)

/** On the wire: IV (16, fresh) | ciphertext | tag (16); no AAD. */
export const Aes128CbcHmacSha256: CipherKind<ClassicKey> = {
  name: "aes-128-cbc-hmac-sha256",
  summary: "RFC 7518 A128CBC-HS256 from the same aes_key.bin; fresh IV, changes are noticed",
  key: ClassicKey,
  keyFile: "./aes_key.bin",
  make: (classic) => {
    const key = derive(classic.key)
    return {
      encrypt: (plaintext) => {
        const iv = randomBytes(ivLength)
        const { ciphertext, tag } = encrypt(key.expose(), iv, noAad, plaintext)
        return Buffer.concat([iv, ciphertext, tag])
      },
      decrypt: (sealed) =>
        sealed.length < ivLength + tagLength
          ? undefined
          : decrypt(
              key.expose(),
              sealed.subarray(0, ivLength),
              noAad,
              sealed.subarray(ivLength, -tagLength),
              sealed.subarray(-tagLength)
            )
    }
  }
}
