import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"
import type { Refusal } from "./Refusal.ts"

/** X25519, RFC 7748. Section 12.1. */
export const dhLen = 32

export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: KeyObject
}

export const generateKeyPair = (): KeyPair => {
  const { publicKey, privateKey } = generateKeyPairSync("x25519")
  return { publicKey: rawPublic(publicKey), privateKey }
}

/** PKCS #8 around a raw X25519 private key. RFC 8410 section 7. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex")

/** The key pair of a private key of 32 bytes. */
export const fromPrivate = (secret: Secret): KeyPair => {
  const der = Buffer.concat([pkcs8Prefix, secret.expose()])
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  der.fill(0)
  return { publicKey: rawPublic(createPublicKey(privateKey)), privateKey }
}

// JWK is 15 to 100 times quicker than DER in both directions.
const rawPublic = (key: KeyObject): Uint8Array => Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url")

const importPublic = (raw: Uint8Array): KeyObject =>
  createPublicKey({
    key: { kty: "OKP", crv: "X25519", x: Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString("base64url") },
    format: "jwk"
  })

/** DH(keyPair, publicKey), section 4.1. A result of zero is refused, as section 12.1 allows. */
export const dh = ({ privateKey }: KeyPair, publicKey: Uint8Array): Uint8Array | Refusal => {
  try {
    return diffieHellman({ privateKey, publicKey: importPublic(publicKey) })
  } catch {
    // OpenSSL refuses the zero result itself; a key of 32 bytes has no other way to fail.
    return "low-order point"
  }
}
