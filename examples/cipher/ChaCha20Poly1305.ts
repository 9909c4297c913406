// A custom cipher for the classic system: a kind of key, and two functions over bytes.
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from "node:crypto"
import type { CipherKind, KeyKind } from "sealwire"

const nonceLength = 12
const tagLength = 16
// Without the length Node.js accepts truncated tags.
const options = { authTagLength: tagLength }

/** A kind of its own, so that no key is used with two ciphers. */
export const ChaChaKey: KeyKind<KeyObject> = {
  name: "ChaCha key",
  prefix: "EXAMPLE-CHACHA-KEY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  keygen: "KeyStore.create(ChaChaKey)",
  remedy: "create one",
  make: (secret) => secret.keyObject()
}

/**
 * RFC 8439. Wire format: nonce (12 bytes, random) | ciphertext | tag (16 bytes). With random nonces
 * of this length a key must not encrypt more than 2^32 messages.
 */
export const ChaCha20Poly1305: CipherKind<KeyObject> = {
  name: "chacha20-poly1305",
  summary: "ChaCha20-Poly1305 with its own kind of key; authenticated, random nonce",
  key: ChaChaKey,
  keyFile: "./chacha.key",
  make: (key) => ({
    encrypt: (plaintext) => {
      const nonce = randomBytes(nonceLength)
      const cipher = createCipheriv("chacha20-poly1305", key, nonce, options)
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    },
    // Returns undefined for every failure: the reason must not be revealed.
    decrypt: (sealed) => {
      if (sealed.length < nonceLength + tagLength) return undefined
      const decipher = createDecipheriv(
        "chacha20-poly1305",
        key,
        sealed.subarray(0, nonceLength),
        options
      )
      decipher.setAuthTag(sealed.subarray(-tagLength))
      const plaintext = decipher.update(sealed.subarray(nonceLength, -tagLength))
      try {
        return Buffer.concat([plaintext, decipher.final()])
      } catch {
        return undefined
      }
    }
  })
}
