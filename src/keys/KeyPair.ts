import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"

/** An X25519 key pair, RFC 7748. The public key has 32 bytes; the private key stays inside node:crypto. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: KeyObject
}

/**
 * A fresh pair. The public key is asked for in JWK with the generation itself: exporting it afterwards can hang the process
 * for ever (Node 20: the export holds a lock that the collection of the finished generation job wants, on the same thread).
 */
export const generate = (): KeyPair => {
  const { publicKey, privateKey } = generateInJwk("x25519", {
    publicKeyEncoding: { format: "jwk" }
  })
  return { publicKey: Buffer.from(publicKey.x, "base64url"), privateKey }
}

/** As node:crypto does it; its types know no JWK here. */
const generateInJwk = generateKeyPairSync as unknown as (
  type: "x25519",
  options: { readonly publicKeyEncoding: { readonly format: "jwk" } }
) => { readonly publicKey: { readonly x: string }; readonly privateKey: KeyObject }

/** PKCS #8 around a raw X25519 private key. RFC 8410 section 7. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex")

/** The key pair of a private key of 32 bytes. */
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

// JWK is 15 to 100 times quicker than DER in both directions.
const rawPublic = (key: KeyObject): Uint8Array =>
  Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url")

/** A public key of 32 bytes as node:crypto takes it. */
export const importPublic = (raw: Uint8Array): KeyObject =>
  createPublicKey({
    key: {
      kty: "OKP",
      crv: "X25519",
      x: Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString("base64url")
    },
    format: "jwk"
  })

/** A public key as `openssl pkey -pubin` takes it: SPKI in PEM, RFC 8410 section 4. */
export const encodePublicPem = (raw: Uint8Array): string =>
  importPublic(raw).export({ type: "spki", format: "pem" }).toString()

/** The public key of such a PEM, or undefined when it is no such thing. */
export const decodePublicPem = (pem: string): Uint8Array | undefined => {
  // From a private key node:crypto would make the public half.
  if (!pem.includes("-----BEGIN PUBLIC KEY-----")) return undefined
  try {
    const key = createPublicKey(pem)
    return key.asymmetricKeyType === "x25519" ? rawPublic(key) : undefined
  } catch {
    return undefined
  }
}

/** A private key of 32 bytes as `openssl pkey` takes it: PKCS #8 in PEM, RFC 8410 section 7. */
export const encodePrivatePem = (secret: Secret): string =>
  importPrivate(secret).export({ type: "pkcs8", format: "pem" }).toString()

/** The private key of an X25519 PEM (`openssl genpkey -algorithm X25519`), or undefined when it is no such thing. */
export const decodePrivatePem = (pem: string): Secret | undefined => {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType !== "x25519") return undefined
    return new Secret(Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url"))
  } catch {
    return undefined
  }
}
