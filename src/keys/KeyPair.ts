import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"

/** An X25519 key pair (RFC 7748): 32 public bytes, and a private key held by node:crypto. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: KeyObject
}

/**
 * Generates a key pair. The public key is exported as JWK by the generation itself: a later export
 * can hang the process for ever (Node 20: the export holds a lock that the garbage collection of
 * the finished generation job takes on the same thread).
 */
export const generate = (): KeyPair => {
  const { publicKey, privateKey } = generateInJwk("x25519", {
    publicKeyEncoding: { format: "jwk" }
  })
  return { publicKey: Buffer.from(publicKey.x, "base64url"), privateKey }
}

/** The types of node:crypto lack the JWK option. */
const generateInJwk = generateKeyPairSync as unknown as (
  type: "x25519",
  options: { readonly publicKeyEncoding: { readonly format: "jwk" } }
) => { readonly publicKey: { readonly x: string }; readonly privateKey: KeyObject }

/** The bytes of PKCS #8 before a raw X25519 private key. RFC 8410, section 7. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex")

/** Makes the key pair of a private key of 32 bytes. */
export const fromPrivate = (secret: Secret): KeyPair => {
  const privateKey = importPrivate(secret)
  return { publicKey: rawPublic(createPublicKey(privateKey)), privateKey }
}

const importPrivate = (secret: Secret): KeyObject => {
  const der = Buffer.concat([pkcs8Prefix, secret.expose()])
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  der.fill(0)
  return privateKey
}

// JWK is 15 to 100 times faster than DER in both directions.
const rawPublic = (key: KeyObject): Uint8Array =>
  Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url")

/** Imports a public key of 32 bytes into node:crypto. */
export const importPublic = (raw: Uint8Array): KeyObject =>
  createPublicKey({
    key: {
      kty: "OKP",
      crv: "X25519",
      x: Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString("base64url")
    },
    format: "jwk"
  })

/** A byte order mark at the start of a text, also of one with a character a byte. */
const byteOrderMark = /^(?:\ufeff|\xef\xbb\xbf)/

/** Encodes a public key for `openssl pkey -pubin`: SPKI in PEM. RFC 8410, section 4. */
export const encodePublicPem = (raw: Uint8Array): string =>
  importPublic(raw).export({ type: "spki", format: "pem" }).toString()

/** Decodes the public key of an SPKI PEM; undefined when the text is not an X25519 public key. */
export const decodePublicPem = (pem: string): Uint8Array | undefined => {
  // Given a private key, createPublicKey would return its public half.
  if (!pem.includes("-----BEGIN PUBLIC KEY-----")) return undefined
  try {
    const key = createPublicKey(pem.replace(byteOrderMark, ""))
    return key.asymmetricKeyType === "x25519" ? rawPublic(key) : undefined
  } catch {
    return undefined
  }
}

/** Encodes a private key of 32 bytes for `openssl pkey`: PKCS #8 in PEM. RFC 8410, section 7. */
export const encodePrivatePem = (secret: Secret): string =>
  importPrivate(secret).export({ type: "pkcs8", format: "pem" }).toString()

/**
 * Decodes the private key of a PEM (`openssl genpkey -algorithm X25519`); undefined when the text
 * is not an X25519 private key.
 */
export const decodePrivatePem = (pem: string): Secret | undefined => {
  try {
    const key = createPrivateKey(pem.replace(byteOrderMark, ""))
    if (key.asymmetricKeyType !== "x25519") return undefined
    return new Secret(Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url"))
  } catch {
    return undefined
  }
}
