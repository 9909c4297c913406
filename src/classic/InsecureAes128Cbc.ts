import { createCipheriv, createDecipheriv } from "node:crypto"
import { ClassicKey } from "../keys/KeyKind.ts"
import type { CipherKind } from "./CipherKind.ts"
import * as Pkcs7 from "../bytes/Pkcs7.ts"

/**
 * Encrypts with AES-128-CBC (NIST SP 800-38A, section 6.2) and PKCS#7 padding, as
 * `openssl enc -aes-128-cbc -K -iv` does. `key` and `iv` have 16 bytes. The result is 1 to 16 bytes
 * longer than the plaintext.
 */
export const encrypt = (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array => {
  const cipher = createCipheriv("aes-128-cbc", key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(Pkcs7.pad(plaintext)), cipher.final()])
}

/** Decrypts; undefined when the length is not a positive multiple of 16 or the padding is wrong. */
export const decrypt = (
  key: Uint8Array,
  iv: Uint8Array,
  ciphertext: Uint8Array
): Uint8Array | undefined => {
  if (ciphertext.length === 0 || ciphertext.length % Pkcs7.blockLength !== 0) return undefined
  const decipher = createDecipheriv("aes-128-cbc", key, iv).setAutoPadding(false)
  const padded = Buffer.concat([decipher.update(ciphertext), decipher.final()])
  const length = Pkcs7.unpaddedLength(padded)
  return length < 0 ? undefined : padded.subarray(0, length)
}

/**
 * The cipher of the original C++ pair, bit for bit, with the IV of the key file for every message.
 * It has no integrity: a changed ciphertext decrypts to another text.
 */
export const InsecureAes128Cbc: CipherKind<ClassicKey> = {
  name: "aes-128-cbc",
  summary: "AES-128-CBC of the original C++ programs; no integrity, fixed IV",
  danger:
    "aes-128-cbc has no integrity and a fixed IV: an attacker on the network can change, replay and compare messages undetected. " +
    "Use it only with the original C++ programs or openssl; between your own programs, use aes-256-gcm",
  key: ClassicKey,
  keyFile: "./aes_key.bin",
  // The C++ server makes one recv of 1,024 bytes: 1,023 bytes of text and the padding.
  originLimit: 1023,
  make: ({ key, iv }) => ({
    encrypt: (plaintext) => encrypt(key.expose(), iv.expose(), plaintext),
    decrypt: (ciphertext) => decrypt(key.expose(), iv.expose(), ciphertext)
  })
}
