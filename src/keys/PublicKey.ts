import { createHash } from "node:crypto"
import * as Bech32 from "../bytes/Bech32.ts"
import * as Mnemonic from "../bytes/Mnemonic.ts"

/** A public identity: 32 bytes of X25519. Its text form is bech32, `sealwire1…`; nothing about it is secret. */
const prefix = "sealwire"

/** The text form, `sealwire1…`: bech32 of the 32 bytes. */
export const encode = (publicKey: Uint8Array): string => Bech32.encode(prefix, publicKey)

/** The 32 bytes, or undefined when the text is no public key of ours or a character is wrong. */
export const decode = (text: string): Uint8Array | undefined => {
  const decoded = looksLike(text) ? Bech32.decode(text) : undefined
  return decoded?.prefix === prefix && decoded.bytes.length === 32 ? decoded.bytes : undefined
}

/** True of what begins as a public key does, right or wrong. */
export const looksLike = (text: string): boolean => text.startsWith(`${prefix}1`)

/** `SHA256:…`, as OpenSSH prints fingerprints: base64 without padding. */
export const fingerprint = (publicKey: Uint8Array): string =>
  `SHA256:${digest(publicKey).toString("base64").replace(/=+$/, "")}`

/** The fingerprint to read aloud: its first 66 bits as six words. */
export const words = (publicKey: Uint8Array): Promise<ReadonlyArray<string>> =>
  Mnemonic.encode(digest(publicKey), 6)

const digest = (publicKey: Uint8Array): Buffer => createHash("sha256").update(publicKey).digest()
