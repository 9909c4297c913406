import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import { createHash } from "node:crypto"
import * as Bech32 from "../bytes/Bech32.ts"
import * as Mnemonic from "../bytes/Mnemonic.ts"

// The public key of an identity: 32 bytes of X25519, not secret.

const prefix = "sealwire"

/** Encodes a public key in its text form: `sealwire1…`, bech32 of the 32 bytes. */
export const encode = (publicKey: Uint8Array): string => Bech32.encode(prefix, publicKey)

/** Decodes the text form; undefined when it is not one or its checksum is wrong. */
export const decode = (text: string): Uint8Array | undefined => {
  const decoded = looksLike(text) ? Bech32.decode(text) : undefined
  return decoded?.prefix === prefix && decoded.bytes.length === 32 ? decoded.bytes : undefined
}

/**
 * True for 32 bytes that encode a number below 2^255 - 19, as every generated key does. X25519
 * ignores the highest bit and reduces the number, so that other bytes stand for the same key.
 */
export const isCanonical = (publicKey: Uint8Array): boolean => {
  const [lowest = 0, highest = 0] = [publicKey[0], publicKey[31]]
  if (highest !== 0x7f || lowest < 0xed) return highest <= 0x7f
  return publicKey.subarray(1, 31).some((byte) => byte < 0xff)
}

const start = new RegExp(`^${prefix}1`, "i")

/** True for a text with the prefix of a public key, in either case (BIP 173), valid or not. */
export const looksLike = (text: string): boolean => start.test(text)

/** Returns the fingerprint in OpenSSH's form, `SHA256:…`: base64 without padding. */
export const fingerprint = (publicKey: Uint8Array): string =>
  `SHA256:${digest(publicKey).toString("base64").replace(/=+$/, "")}`

/** Returns the first 66 bits of the fingerprint as six words, to be compared aloud. */
export const words = (publicKey: Uint8Array): Promise<ReadonlyArray<string>> =>
  Mnemonic.encode(digest(publicKey), 6)

const digest = (publicKey: Uint8Array): Buffer => createHash("sha256").update(publicKey).digest()

/**
 * A public key in the program's configuration, as the text that `encode` returns.
 *
 * @example
 * const serverKey = yield* PublicKey.config("SEALWIRE_SERVER_KEY")
 */
export const config = (name: string): Config.Config<Uint8Array> =>
  Config.mapOrFail(Config.string(name), (text) => {
    const publicKey = decode(text.trim())
    return publicKey === undefined
      ? Either.left(ConfigError.InvalidData([name], "it is not a public key (sealwire1…)"))
      : Either.right(publicKey)
  })
