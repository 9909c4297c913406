// Keys wrapped under a passphrase, in the format that README.md of this folder specifies.
import { createCipheriv, createDecipheriv, randomBytes, scrypt as deriveKey } from "node:crypto"
import * as Either from "effect/Either"
import * as Bech32 from "../bytes/Bech32.ts"
import { Secret } from "../bytes/Secret.ts"
import { kinds, type KeyKind } from "./KeyKind.ts"
import { keyLines, maxKeyText, reject, type Rejection } from "./KeyText.ts"
import { limits } from "./limits.ts"

/** Parameters of scrypt (RFC 7914): 128 * r * 2^log2N bytes of memory, p times. */
export interface Scrypt {
  readonly log2N: number
  readonly r: number
  readonly p: number
}

/** 256 MiB of memory and about a second. */
export const defaultScrypt: Scrypt = { log2N: 18, r: 8, p: 1 }

/**
 * A wrapped key. Only its bech32 checksum and the bounds of its parameters are checked; nothing in
 * it is authenticated yet.
 */
export interface ProtectedKey {
  readonly scrypt: Scrypt
  /** Every byte before the ciphertext: its additional authenticated data. */
  readonly header: Uint8Array
  readonly ciphertext: Uint8Array
}

/** The bech32 prefix of its text form. */
export const prefix = "SEALWIRE-PROTECTED-KEY-"
const version = 1
const saltBytes = 16
const nonceBytes = 12
const tagBytes = 16
const headerBytes = 4 + saltBytes + nonceBytes

/**
 * Finds the protected key in the content of a key file. Returns a rejection when it is malformed,
 * and undefined when there is none.
 */
export const find = (content: Uint8Array): Either.Either<ProtectedKey, Rejection> | undefined => {
  const lines = content.length > maxKeyText ? [] : (keyLines(content) ?? [])
  const line = lines.find((each) => each.toUpperCase().startsWith(`${prefix}1`))
  if (line === undefined) return undefined
  if (lines.length > 1)
    return reject("damaged", `holds ${lines.length} lines that could be keys; one is needed`)
  const payload = Bech32.decode(line)?.bytes
  if (payload === undefined)
    return reject(
      "damaged",
      "the checksum of this protected key is wrong; a character was lost or changed"
    )
  return decode(payload)
}

/** Inclusive bounds of each scrypt parameter. */
export type Bounds = Readonly<Record<keyof Scrypt, readonly [min: number, max: number]>>

/** Decodes the payload of the text form. */
export const decode = (
  payload: Uint8Array,
  bounds: Bounds = limits.scrypt
): Either.Either<ProtectedKey, Rejection> => {
  const [foundVersion = 0, log2N = 0, r = 0, p = 0] = payload
  if (foundVersion !== version)
    return reject(
      "damaged",
      `uses version ${foundVersion} of the protected key format, which is not supported; update sealwire`
    )
  if (payload.length <= headerBytes + tagBytes)
    return reject("wrong length", "is too short for a protected key")
  const scrypt = { log2N, r, p }
  // Before scrypt runs: the author of the file may want to exhaust this machine (large parameters)
  // or to make guessing cheap (small ones).
  const outOfBounds = (["log2N", "r", "p"] as const).find(
    (name) => scrypt[name] < bounds[name][0] || scrypt[name] > bounds[name][1]
  )
  if (outOfBounds !== undefined)
    return reject(
      "parameters",
      `asks scrypt for ${outOfBounds} = ${scrypt[outOfBounds]}; from ${bounds[outOfBounds].join(" to ")} is allowed`
    )
  return Either.right({
    scrypt,
    header: payload.slice(0, headerBytes),
    ciphertext: payload.slice(headerBytes)
  })
}

/** Wraps a key and returns its text form. */
export const wrapAsText = async (
  kind: KeyKind<unknown>,
  secret: Secret,
  passphrase: Secret,
  scrypt?: Scrypt
): Promise<string> => encode(await wrap(kind, secret, passphrase, scrypt))

/** Encodes a payload as its bech32 line below a comment. */
export const encode = (payload: Uint8Array): string =>
  `${comment}\n${Bech32.encode(prefix, payload)}\n`

/** Wraps a key under a passphrase and returns the payload of its text form. */
export const wrap = async (
  kind: KeyKind<unknown>,
  secret: Secret,
  passphrase: Secret,
  scrypt: Scrypt = defaultScrypt
): Promise<Uint8Array> => {
  const header = Buffer.concat([
    Buffer.from([version, scrypt.log2N, scrypt.r, scrypt.p]),
    randomBytes(saltBytes),
    randomBytes(nonceBytes)
  ])
  const cipher = createCipheriv(
    "aes-256-gcm",
    await keyOf(header, scrypt, passphrase),
    nonceOf(header),
    {
      authTagLength: tagBytes
    }
  )
  cipher.setAAD(header)
  const plaintext = Buffer.concat([Buffer.from(kind.prefix), Buffer.from([0]), secret.expose()])
  const payload = Buffer.concat([
    header,
    cipher.update(plaintext),
    cipher.final(),
    cipher.getAuthTag()
  ])
  plaintext.fill(0)
  return payload
}

/**
 * Unwraps a protected key and returns its kind and secret. Returns a rejection for a wrong
 * passphrase or a changed byte, which cannot be told apart.
 */
export const unwrap = async (
  { scrypt, header, ciphertext }: ProtectedKey,
  passphrase: Secret
): Promise<
  Either.Either<{ readonly kind: KeyKind<unknown>; readonly secret: Secret }, Rejection>
> => {
  const decipher = createDecipheriv(
    "aes-256-gcm",
    await keyOf(header, scrypt, passphrase),
    nonceOf(header),
    {
      authTagLength: tagBytes
    }
  )
  decipher.setAAD(header)
  decipher.setAuthTag(ciphertext.subarray(-tagBytes))
  const plaintext = decipher.update(ciphertext.subarray(0, -tagBytes))
  try {
    decipher.final()
  } catch {
    plaintext.fill(0)
    return reject("wrong passphrase", "the passphrase is wrong")
  }
  const end = plaintext.indexOf(0)
  const kind = kinds.find(
    (each) => each.prefix === plaintext.toString("latin1", 0, Math.max(end, 0))
  )
  const secret = new Secret(plaintext.subarray(end + 1))
  plaintext.fill(0)
  if (kind === undefined)
    return reject("wrong kind", "is of a kind that is not supported; update sealwire")
  return secret.length === kind.length
    ? Either.right({ kind, secret })
    : reject("wrong length", `has ${secret.length} bytes; ${kind.name}s have ${kind.length}`)
}

/** The comment above the key in the text form. */
const comment = "# passphrase-protected key; to remove the passphrase: sealwire keys unprotect FILE"

/** The comment that earlier versions wrote. */
const earlierComment =
  "# protected key: opens with its passphrase; to take the passphrase off: sealwire keys unprotect FILE"

/** True for the comments that `encode` writes or wrote, false for a user's. */
export const isOwnComment = (line: string): boolean => line === comment || line === earlierComment

const nonceOf = (header: Uint8Array): Uint8Array => header.subarray(4 + saltBytes)

const keyOf = (header: Uint8Array, { log2N, r, p }: Scrypt, passphrase: Secret): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const N = 2 ** log2N
    // OpenSSL's count: N blocks, p blocks, and two to work in.
    const options = { N, r, p, maxmem: 128 * r * (N + p + 2) }
    deriveKey(passphrase.expose(), header.subarray(4, 4 + saltBytes), 32, options, (error, key) =>
      error === null ? resolve(key) : reject(error)
    )
  })
