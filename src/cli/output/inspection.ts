// Detects the kind of a file and describes it, without a byte or a digest of a secret.
import { shown } from "../../bytes/excerpt.ts"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import { plaintextLength, prefixBytes } from "../../files/Cobblestone.ts"
import * as Prelude from "../../files/Prelude.ts"
import { limits } from "../../files/limits.ts"
import { detectKey } from "../../keys/detectKey.ts"
import { fromPrivate, decodePublicPem } from "../../keys/KeyPair.ts"
import { Identity } from "../../keys/KeyKind.ts"
import * as KeyText from "../../keys/KeyText.ts"
import * as ProtectedKey from "../../keys/ProtectedKey.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { describeRecipients, recipientTypes } from "./events/fileEvents.ts"

/** A file that Sealwire did not make, or a damaged key. */
export class InspectFailed extends Data.TaggedError("InspectFailed")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `${shown(this.file)}: ${this.detail}`
  }
}

export interface Finding {
  /** The kind of the file, such as "identity". */
  readonly what: string
  /** True for a file that only its owner should be able to read. */
  readonly secret: boolean
  /** Further JSON fields. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The same fields as text: "bech32, fingerprint SHA256:…". */
  readonly detail: string
}

/**
 * Detects one kind of file from its first bytes and its size. Returns undefined for another kind,
 * and a refusal for a damaged file of this kind.
 */
type Detector = (
  head: Uint8Array,
  size: number
) => Either.Either<Finding, KeyText.Rejection> | undefined

const publicKeyFields = (publicKey: Uint8Array) => ({
  publicKey: PublicKey.encode(publicKey),
  fingerprint: PublicKey.fingerprint(publicKey)
})

const publicKey: Detector = (head) => {
  const pem = decodePublicPem(Buffer.from(head).toString("latin1"))
  const found = pem ?? PublicKey.decode(KeyText.keyLines(head)?.[0] ?? "")
  if (found === undefined) return undefined
  const [form, shown] = [pem === undefined ? "bech32" : "pem", publicKeyFields(found)]
  const detail = `${form}, fingerprint ${shown.fingerprint}`
  return Either.right({
    what: "public key",
    secret: false,
    fields: { format: form, ...shown },
    detail
  })
}

const protectedKey: Detector = (head) => {
  const found = ProtectedKey.find(head)
  return found === undefined
    ? undefined
    : Either.map(found, ({ scrypt: { log2N, r, p } }) => ({
        what: "protected key",
        secret: true,
        fields: { format: "bech32", scrypt: { N: 2 ** log2N, r, p } },
        detail: `bech32, scrypt N = 2^${log2N}, r = ${r}, p = ${p}; the passphrase reveals the kind of the key`
      }))
}

const secretKey: Detector = (head) => {
  const found = detectKey(head)
  if (Either.isLeft(found))
    return found.left.reason === "wrong kind" ? undefined : Either.left(found.left)
  const { kind, secret, format } = found.right
  const shown = kind === Identity ? publicKeyFields(fromPrivate(secret).publicKey) : undefined
  return Either.right({
    what: kind.name,
    secret: true,
    fields: { format, ...shown },
    detail: shown === undefined ? format : `${format}, fingerprint ${shown.fingerprint}`
  })
}

const damaged = (detail: string) => Either.left({ reason: "damaged" as const, detail })

const encryptedFile: Detector = (bytes, size) => {
  if (!Prelude.hasMagic(bytes)) return undefined
  const length = bytes.length < Prelude.fixedBytes ? undefined : Prelude.lengthOf(bytes)
  if (length === undefined || bytes.length < length)
    return damaged("is an encrypted file with a modified or truncated header")
  const head = Prelude.decode(bytes.subarray(0, length))
  if (head === undefined) return damaged("is an encrypted file with a modified header")
  const { kind, stanzas, rekeyed } = head.header
  const locked =
    kind === "passphrase" ? ProtectedKey.decode(stanzas[0] ?? bytes, limits.scrypt) : undefined
  if (locked !== undefined && Either.isLeft(locked))
    return damaged(`is an encrypted file; its header ${locked.left.detail}`)
  const scrypt = locked?.right.scrypt
  const content = plaintextLength(size - length - prefixBytes)
  const fields = {
    recipientType: recipientTypes[kind],
    recipients: stanzas.length,
    rekeyed,
    ...(scrypt === undefined ? {} : { scrypt: { N: 2 ** scrypt.log2N, r: scrypt.r, p: scrypt.p } }),
    ...(content === undefined ? { truncated: true } : { bytes: content })
  }
  const detail = [
    describeRecipients(kind, stanzas.length),
    ...(rekeyed ? ["rekeyed"] : []),
    content === undefined
      ? "truncated"
      : `${content.toLocaleString("en-US")} bytes of content, not verified`
  ].join("; ")
  return Either.right({ what: "encrypted file", secret: false, fields, detail })
}

/** Every kind of file, in the order of detection: the first match decides. */
export const detectors: ReadonlyArray<Detector> = [
  encryptedFile,
  publicKey,
  protectedKey,
  secretKey
]
