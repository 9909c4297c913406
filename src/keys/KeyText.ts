// What a key file, a variable or a command may contain, and which key that is. DESIGN section 6.
import * as Either from "effect/Either"
import * as Bech32 from "../bytes/Bech32.ts"
import * as Hex from "../bytes/Hex.ts"
import * as Printable from "../bytes/Printable.ts"
import { Secret } from "../bytes/Secret.ts"
import type { RejectionReason } from "./KeyErrors.ts"
import { kinds, type KeyKind } from "./KeyKind.ts"
import { decodePublicPem } from "./KeyPair.ts"
import * as PublicKey from "./PublicKey.ts"

/** The most that is ever read from a place that keeps a key, in bytes. */
export const maxKeyText = 4096

/** What is wrong with it, for `KeyRejected`. */
export interface Rejection {
  readonly reason: RejectionReason
  readonly detail: string
}

/** How a new key is written: as its kind is, or as PEM where the kind has that form. */
export type Format = "usual" | "pem"

/** The text form: the bech32 line, with a comment that says what it is. */
export const encode = (kind: KeyKind<unknown>, secret: Secret): string =>
  `${commentOf(kind)}\n${Bech32.encode(kind.prefix, secret.expose())}\n`

const commentOf = (kind: KeyKind<unknown>): string =>
  `# ${kind.name}; keep it secret; made by: ${kind.keygen}`

/** True of the comments that `encode` writes: not a person's. */
export const isOwnComment = (line: string): boolean =>
  kinds.some((kind) => line === commentOf(kind))

/** What a key file holds: the raw bytes of a kind that has a raw form, else the text form; or PEM. */
export const contentOf = (
  kind: KeyKind<unknown>,
  secret: Secret,
  form: Format = "usual"
): Uint8Array =>
  form === "pem" && kind.pem !== undefined
    ? Buffer.from(kind.pem.encode(secret))
    : kind.raw
      ? secret.expose()
      : Buffer.from(encode(kind, secret))

/**
 * The secret of that kind: raw bytes (where the kind has a raw form), the bech32 line among blank lines and
 * `#` comments, the PEM form (where the kind has one), or, for a kind with a raw form, its bytes as hexadecimal digits
 * (`xxd -p -c 64 aes_key.bin`).
 */
export const decode = (
  kind: KeyKind<unknown>,
  content: Uint8Array
): Either.Either<Secret, Rejection> =>
  Either.flatMap(secretOf(kind, content), (secret) => rejectZeros(kind, secret))

/** The secret, unless it is what a generator that failed leaves behind. */
export const rejectZeros = (
  kind: KeyKind<unknown>,
  secret: Secret
): Either.Either<Secret, Rejection> =>
  secret.slice(0, kind.nonZeroBytes).isZero
    ? reject("all zero", `${withArticle(kind)} of zeros is no key; make a new one: ${kind.keygen}`)
    : Either.right(secret)

const secretOf = (
  kind: KeyKind<unknown>,
  content: Uint8Array
): Either.Either<Secret, Rejection> => {
  if (content.length > maxKeyText)
    return reject("wrong length", `is longer than the ${maxKeyText} bytes a key may have`)
  if (kind.raw && content.length === kind.length) return Either.right(new Secret(content))
  const text = Buffer.from(content).toString("latin1")
  if (text.includes("-----BEGIN ")) return ofPem(kind, text)
  const lines = keyLines(content)
  if (lines === undefined) return wrongLength(kind, content.length)
  if (PublicKey.decode(lines[0] ?? "") !== undefined) return publicKey(kind)
  if (lines.length > 1)
    return reject("damaged", `holds ${lines.length} lines that could be keys; one is needed`)
  return ofLine(kind, lines[0] ?? "", content.length)
}

const ofPem = (kind: KeyKind<unknown>, text: string): Either.Either<Secret, Rejection> => {
  const own = kind.pem?.decode(text)
  if (own !== undefined) return Either.right(own)
  const other = kinds.find(({ pem }) => pem?.decode(text) !== undefined)
  if (other !== undefined) return wrongKind(other, kind)
  if (decodePublicPem(text) !== undefined) return publicKey(kind)
  return reject(
    "wrong kind",
    text.includes("ENCRYPTED")
      ? "is a PEM under a passphrase; take it off with openssl pkey, and put one on with sealwire keys protect"
      : `is a PEM that holds no X25519 key; ${withArticle(kind)} is needed`
  )
}

const ofLine = (
  kind: KeyKind<unknown>,
  line: string,
  length: number
): Either.Either<Secret, Rejection> => {
  // A kind of a program's own stands in no list.
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

const publicKey = (wanted: KeyKind<unknown>): Either.Either<never, Rejection> =>
  reject("wrong kind", `is a public key; ${withArticle(wanted)} is needed`)

/** "is a shared key; an identity is needed" */
export const wrongKind = (
  found: KeyKind<unknown>,
  wanted: KeyKind<unknown>
): Either.Either<never, Rejection> =>
  reject("wrong kind", `is ${withArticle(found)}; ${withArticle(wanted)} is needed`)

/** "a shared key", "an identity". */
export const withArticle = ({ name }: KeyKind<unknown>): string =>
  `${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`

/** The lines, trimmed, or undefined when the content is not text. */
export const linesOf = (content: Uint8Array): ReadonlyArray<string> | undefined =>
  Printable.text(content)
    ?.split(/\r?\n/)
    .map((line) => line.trim())

/** The lines that are neither blank nor comment, or undefined when the content is not text. */
export const keyLines = (content: Uint8Array): ReadonlyArray<string> | undefined =>
  linesOf(content)?.filter((line) => line !== "" && !line.startsWith("#"))

const wrongLength = (kind: KeyKind<unknown>, length: number): Either.Either<never, Rejection> =>
  reject(
    "wrong length",
    kind.raw
      ? `has ${length} bytes; ${withArticle(kind)} has ${kind.length}`
      : `is not ${withArticle(kind)}: a line beginning ${kind.prefix}1 is needed`
  )

/** A refusal, as the left of an Either. */
export const reject = (reason: RejectionReason, detail: string): Either.Either<never, Rejection> =>
  Either.left({ reason, detail })
