// The content of key files, in every form that is read: raw bytes, text, PEM, hexadecimal digits,
// protected keys, public keys.
import * as Either from "effect/Either"
import { encodePrivatePem, encodePublicPem, decodePublicPem } from "../../../src/keys/KeyPair.ts"
import { detectKey } from "../../../src/keys/detectKey.ts"
import { redact } from "../../../src/keys/InlineKey.ts"
import { ClassicKey, Identity, kinds } from "../../../src/keys/KeyKind.ts"
import * as KeyText from "../../../src/keys/KeyText.ts"
import * as ProtectedKey from "../../../src/keys/ProtectedKey.ts"
import * as PublicKey from "../../../src/keys/PublicKey.ts"
import * as Bech32 from "../../../src/bytes/Bech32.ts"
import { Secret } from "../../../src/bytes/Secret.ts"
import { alice, secretOf } from "../fixed.ts"
import { check, outcomeOf, type Target } from "../Target.ts"

/** Random enough that a message which repeats a part of it is found. */
const secret = new Secret(Buffer.from(Array.from({ length: 32 }, (_, index) => 37 * index + 11)))
const protectedPayload = Buffer.concat([
  Buffer.of(1, 18, 8, 1),
  Buffer.alloc(28, 5),
  Buffer.alloc(80, 6)
])
const protectedText = Bech32.encode(ProtectedKey.prefix, protectedPayload)

const decodeAll = (input: Buffer): ReadonlyArray<string> =>
  kinds.map((kind) => {
    const result = KeyText.decode(kind, input)
    if (Either.isLeft(result)) return `${result.left.reason}: ${result.left.detail}`
    const { right: found } = result
    check(found.length === kind.length, `${found.length} bytes of ${kind.name}`)
    check(!found.slice(0, kind.nonZeroBytes).isZero, "a key of zeros")
    for (const format of ["usual", "pem"] as const) {
      const again = KeyText.decode(kind, KeyText.contentOf(kind, found, format))
      check(Either.isRight(again) && again.right.equals(found), `${kind.name} does not come back`)
    }
    kind.make(found)
    return kind.name
  })

export const keyText: Target = {
  maxBytes: 4200,
  seeds: () => [
    ...kinds.map((kind) => Buffer.from(KeyText.encode(kind, secret))),
    Buffer.from(encodePrivatePem(secretOf(3))),
    Buffer.from(encodePublicPem(alice.publicKey)),
    Buffer.from(secret.expose()),
    Buffer.from(`${Buffer.from(secret.expose()).toString("hex")}\n`),
    Buffer.from(`${PublicKey.encode(alice.publicKey)}\n`),
    Buffer.from(`# mine\r\n\r\n${protectedText}\r\n`),
    KeyText.contentOf(ClassicKey, secret),
    Buffer.from(
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAk\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
  ],
  words: [
    "-----BEGIN PRIVATE KEY-----\n",
    "-----END PRIVATE KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\n",
    "-----BEGIN EC PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----\n",
    "-----BEGIN X509 CRL-----\n",
    ...kinds.map(({ prefix }) => `${prefix}1`),
    protectedText,
    "# ",
    "\n",
    new Uint8Array(32)
  ],
  run: (input) => {
    const outcomes = decodeAll(input)
    const detected = detectKey(input)
    const isKey = kinds.some(({ name }) => outcomes.includes(name))
    check(Either.isRight(detected) === isKey, "detected otherwise than decoded")
    const wrapped = ProtectedKey.find(input)
    const text = input.toString("latin1")
    const publicKey = PublicKey.decode(text)
    if (publicKey !== undefined)
      check(PublicKey.encode(publicKey) === text.toLowerCase(), "a public key encodes differently")
    const pem = decodePublicPem(text)
    check(pem === undefined || pem.length === 32, "a public key of another length")
    check(redact(redact(text)) === redact(text), "redacted text changes again")
    const rejected = wrapped === undefined ? "none" : Either.isRight(wrapped) ? "yes" : "no"
    return outcomeOf(
      [outcomes[kinds.indexOf(Identity)], outcomes[3], rejected, publicKey, pem === undefined]
        .map((each) => String(each).slice(0, 50))
        .join("; ")
    )
  }
}
