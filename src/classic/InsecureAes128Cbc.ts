import { createCipheriv, createDecipheriv } from "node:crypto"
import { ClassicKey } from "../keys/KeyKind.ts"
import type { CipherKind } from "./CipherKind.ts"
import * as Pkcs7 from "../bytes/Pkcs7.ts"

/**
 * AES-128-CBC (NIST SP 800-38A section 6.2) with PKCS#7 padding: what `openssl enc -aes-128-cbc -K -iv` does.
 * `key` and `iv` have 16 bytes. The result is 1 to 16 bytes longer than the plaintext.
 */
export const encrypt = (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array => {
  const cipher = createCipheriv("aes-128-cbc", key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(Pkcs7.pad(plaintext)), cipher.final()])
}

/** The plaintext, or undefined when the length is not a positive multiple of 16 or the padding is wrong. */
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

/** The origin's cipher, bit for bit: the IV of the key file, every time. No integrity: a changed message opens as another. */
export const InsecureAes128Cbc: CipherKind<ClassicKey> = {
  name: "aes-128-cbc",
  summary: "the origin's, bit for bit; no integrity, fixed IV",
  danger:
    "aes-128-cbc has no integrity and a fixed IV: anyone on the way can change, replay and compare messages unseen. " +
    "Use it only to talk to the origin's programs or openssl; between your own, use --cipher aes-256-gcm",
  key: ClassicKey,
  keyFile: "./aes_key.bin",
  // The C++ server makes one recv of 1,024 bytes: 1,023 bytes of text and the padding.
  originLimit: 1023,
  make: ({ key, iv }) => ({
    encrypt: (plaintext) => encrypt(key.expose(), iv.expose(), plaintext),
    decrypt: (ciphertext) => decrypt(key.expose(), iv.expose(), ciphertext)
  })
}
