import { createCipheriv, createDecipheriv, randomBytes, type CipherKey } from "node:crypto"
import { ClassicGcmKey } from "../keys/KeyKind.ts"
import type { CipherKind } from "./CipherKind.ts"

export const nonceLength = 12
export const tagLength = 16

// Without this option, node:crypto accepts tags of only 4 bytes.
const options = { authTagLength: tagLength }

/**
 * Encrypts with AES-256-GCM (NIST SP 800-38D, section 7.1) and returns the ciphertext, then the
 * 16-byte tag. `nonce` has 12 bytes and must be used only once per key.
 */
export const encrypt = (
  key: CipherKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array
): Uint8Array => {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, options).setAAD(aad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/**
 * Decrypts with AES-256-GCM (SP 800-38D, section 7.2); undefined when the tag is wrong or not 16
 * bytes long.
 */
export const decrypt = (
  key: CipherKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array
): Uint8Array | undefined => {
  if (sealed.length < tagLength) return undefined
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, options)
    .setAAD(aad)
    .setAuthTag(sealed.subarray(-tagLength))
  const plaintext = decipher.update(sealed.subarray(0, -tagLength))
  try {
    decipher.final()
    return plaintext
  } catch {
    return undefined
  }
}

const noAad = new Uint8Array(0)

/**
 * Wire format: nonce (12, random) | ciphertext | tag (16), without AAD. Random nonces limit one key
 * to 2^32 messages (SP 800-38D, section 8.3).
 */
export const Aes256Gcm: CipherKind<ClassicGcmKey> = {
  name: "aes-256-gcm",
  summary: "AES-256-GCM with its own kind of key; authenticated, random nonce",
  key: ClassicGcmKey,
  keyFile: "./aes_gcm.key",
  make: ({ key }) => ({
    encrypt: (plaintext) => {
      const nonce = randomBytes(nonceLength)
      return Buffer.concat([nonce, encrypt(key, nonce, noAad, plaintext)])
    },
    decrypt: (sealed) =>
      sealed.length < nonceLength + tagLength
        ? undefined
        : decrypt(key, sealed.subarray(0, nonceLength), noAad, sealed.subarray(nonceLength))
  })
}
