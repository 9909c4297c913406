import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"
import { ClassicKey } from "../keys/KeyKind.ts"
import type { CipherKind } from "./CipherKind.ts"
import * as Cbc from "./InsecureAes128Cbc.ts"

const ivLength = 16
const tagLength = 16

/**
 * Encrypts with A128CBC-HS256 (RFC 7518, section 5.2.2.1). `key` is the MAC key, then the AES key,
 * 16 bytes each; `iv` has 16 bytes. Returns the ciphertext and the 16-byte tag separately, as in
 * the RFC.
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

/**
 * Decrypts with A128CBC-HS256 (RFC 7518, section 5.2.2.2). Compares the tag in constant time before
 * it decrypts anything; undefined when it differs.
 */
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

/**
 * Computes HMAC-SHA-256 over AAD, IV, ciphertext and AL (the length of the AAD in bits, 64-bit
 * big-endian), truncated to 16 bytes.
 */
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

/**
 * Derives this cipher's 32 bytes from the 16-byte AES key of `aes_key.bin` with HKDF-SHA-256 (RFC
 * 5869). The file's fixed IV is not used.
 */
const derive = (key: Secret): Secret =>
  new Secret(
    new Uint8Array(
      hkdfSync("sha256", key.expose(), new Uint8Array(0), "sealwire classic A128CBC-HS256 v1", 32)
    )
  )

const noAad = new Uint8Array(0)

/** Wire format: IV (16, random) | ciphertext | tag (16), without AAD. */
export const Aes128CbcHmacSha256: CipherKind<ClassicKey> = {
  name: "aes-128-cbc-hmac-sha256",
  summary: "RFC 7518 A128CBC-HS256 from the same aes_key.bin; authenticated, random IV",
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
      decrypt: (wire) =>
        wire.length < ivLength + tagLength
          ? undefined
          : decrypt(
              key.expose(),
              wire.subarray(0, ivLength),
              noAad,
              wire.subarray(ivLength, -tagLength),
              wire.subarray(-tagLength)
            )
    }
  }
}
