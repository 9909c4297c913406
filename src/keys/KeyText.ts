// The text forms of keys: the content of a key file, a variable, or the output of a command.
// README.md of this folder lists them.
import * as Either from "effect/Either"
import * as Bech32 from "../bytes/Bech32.ts"
import * as Hex from "../bytes/Hex.ts"
import { Secret } from "../bytes/Secret.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import type { RejectionReason } from "./KeyErrors.ts"
import { kinds, type KeyKind } from "./KeyKind.ts"
import { decodePublicPem } from "./KeyPair.ts"
import * as PublicKey from "./PublicKey.ts"

/** Maximum number of bytes read from a key location. */
export const maxKeyText = 4096

/** The fields of `KeyRejected` without the reference. */
export interface Rejection {
  readonly reason: RejectionReason
  readonly detail: string
}

/** The format of a new key: "usual" for its kind, or PEM where the kind has that form. */
export type Format = "usual" | "pem"

/** Encodes a key as its bech32 line below a comment that names the kind. */
export const encode = (kind: KeyKind<unknown>, secret: Secret): string =>
  `${commentOf(kind)}\n${Bech32.encode(kind.prefix, secret.expose())}\n`

const commentOf = (kind: KeyKind<unknown>): string =>
  `# ${kind.name}; keep it secret; made by: ${kind.keygen}`

/** True for the comments that `encode` writes, false for a user's. */
export const isOwnComment = (line: string): boolean =>
  kinds.some((kind) => line === commentOf(kind))

/** Returns the content of a key file: raw bytes for a kind with a raw form, else text; or PEM. */
export const contentOf = (
  kind: KeyKind<unknown>,
  secret: Secret,
  format: Format = "usual"
): Uint8Array =>
  format === "pem" && kind.pem !== undefined
    ? Buffer.from(kind.pem.encode(secret))
    : kind.raw
      ? secret.expose()
      : Buffer.from(encode(kind, secret))

/**
 * Decodes a key of the given kind: raw bytes (for a kind with a raw form), the bech32 line among
 * blank lines and `#` comments, PEM (for a kind with that form), or, for a kind with a raw form,
 * the bytes as hexadecimal digits (`xxd -p -c 64 aes_key.bin`).
 */
export const decode = (
  kind: KeyKind<unknown>,
  content: Uint8Array
): Either.Either<Secret, Rejection> =>
  Either.flatMap(secretOf(kind, content), (secret) => rejectZeros(kind, secret))

/** Rejects an all-zero secret: the output of a failed random generator. */
export const rejectZeros = (
  kind: KeyKind<unknown>,
  secret: Secret
): Either.Either<Secret, Rejection> =>
  secret.slice(0, kind.nonZeroBytes).isZero
    ? reject("all zero", `${withArticle(kind)} of all zeros is not valid; create a new one`)
    : Either.right(secret)

const secretOf = (
  kind: KeyKind<unknown>,
  content: Uint8Array
): Either.Either<Secret, Rejection> => {
  if (content.length > maxKeyText)
    return reject("wrong length", `is longer than the ${maxKeyText} bytes a key may have`)
  if (kind.raw && content.length === kind.length) return Either.right(new Secret(content))
  const text = Buffer.from(content).toString("latin1")
  if (text.includes("-----BEGIN ")) return decodePem(kind, text)
  const lines = keyLines(content)
  if (lines === undefined) return wrongLength(kind, content.length)
  if (PublicKey.decode(lines[0] ?? "") !== undefined) return isPublicKey(kind)
  if (lines.length > 1)
    return reject("damaged", `holds ${lines.length} lines that could be keys; one is needed`)
  return decodeLine(kind, lines[0] ?? "", content.length)
}

const decodePem = (kind: KeyKind<unknown>, text: string): Either.Either<Secret, Rejection> => {
  const secret = kind.pem?.decode(text)
  if (secret !== undefined) return Either.right(secret)
  const other = kinds.find(({ pem }) => pem?.decode(text) !== undefined)
  if (other !== undefined) return wrongKind(other, kind)
  if (decodePublicPem(text) !== undefined) return isPublicKey(kind)
  return reject(
    "wrong kind",
    text.includes("ENCRYPTED")
      ? "is an encrypted PEM; remove its passphrase with openssl pkey, then protect the key again"
      : `is a PEM without an X25519 key; ${withArticle(kind)} is needed`
  )
}

const decodeLine = (
  kind: KeyKind<unknown>,
  line: string,
  length: number
): Either.Either<Secret, Rejection> => {
  // A kind that the program defines is in no list.
  const named = [kind, ...kinds].find((other) => line.toUpperCase().startsWith(`${other.prefix}1`))
  if (named !== undefined && named !== kind) return wrongKind(named, kind)
  if (named === undefined) {
    const bytes = kind.raw && line.length === kind.length * 2 ? Hex.decode(line) : undefined
    return bytes === undefined ? wrongLength(kind, length) : Either.right(new Secret(bytes))
  }
  const decoded = Bech32.decode(line)
  if (decoded === undefined)
    return reject(
      "damaged",
      `the checksum of this ${kind.name} is wrong; a character was lost or changed`
    )
  return decoded.bytes.length === kind.length
    ? Either.right(new Secret(decoded.bytes))
    : wrongLength(kind, decoded.bytes.length)
}

const isPublicKey = (wanted: KeyKind<unknown>): Either.Either<never, Rejection> =>
  reject("wrong kind", `is a public key; ${withArticle(wanted)} is needed`)

/** "is a shared key; an identity is needed" */
export const wrongKind = (
  found: KeyKind<unknown>,
  wanted: KeyKind<unknown>
): Either.Either<never, Rejection> =>
  reject("wrong kind", `is ${withArticle(found)}; ${withArticle(wanted)} is needed`)

/** "a shared key", "an identity" */
export const withArticle = ({ name }: KeyKind<unknown>): string =>
  `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`

/** Returns the trimmed lines; undefined when the content is not UTF-8 text. */
export const linesOf = (content: Uint8Array): ReadonlyArray<string> | undefined =>
  Utf8.decode(content)
    ?.split(/\r?\n/)
    .map((line) => line.trim())

/** Returns the lines that are neither blank nor comments; undefined when it is not UTF-8 text. */
export const keyLines = (content: Uint8Array): ReadonlyArray<string> | undefined =>
  linesOf(content)?.filter((line) => line !== "" && !line.startsWith("#"))

const wrongLength = (kind: KeyKind<unknown>, length: number): Either.Either<never, Rejection> =>
  reject(
    "wrong length",
    kind.raw
      ? `has ${length} bytes; ${withArticle(kind)} has ${kind.length}`
      : `is not ${withArticle(kind)}: a line beginning ${kind.prefix}1 is needed`
  )

/** Makes a rejection, as the left of an Either. */
export const reject = (reason: RejectionReason, detail: string): Either.Either<never, Rejection> =>
  Either.left({ reason, detail })
