// A cipher of one's own for the classic system: the key's kind, and what becomes of a text under it.
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from "node:crypto"
import type { CipherKind, KeyKind } from "sealwire"

const nonceLength = 12
const tagLength = 16
// Node takes shorter tags when it is not told the length.
const options = { authTagLength: tagLength }

/** A kind of its own: a key of another cipher is refused by its name, and never used for two. */
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

/** RFC 8439. On the wire: nonce (12, random) | ciphertext | tag (16). Random nonces of 12 bytes bound one key to 2^32 messages. */
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
    // Undefined for all that does not open: why is nobody's to know.
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
