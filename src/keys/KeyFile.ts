// A key file that gets a passphrase, or loses it, in its place.
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { detectKey } from "./detectKey.ts"
import * as FileKeys from "./providers/FileKeys.ts"
import {
  KeyRejected,
  type KeyLoadError,
  type KeyNotReplaced,
  type PassphraseRefused
} from "./KeyErrors.ts"
import type { KeyKind } from "./KeyKind.ts"
import * as KeyText from "./KeyText.ts"
import * as Passphrase from "./Passphrase.ts"
import * as ProtectedKey from "./ProtectedKey.ts"

type Rewritten = Effect.Effect<KeyKind<unknown>, KeyLoadError | KeyNotReplaced | PassphraseRefused>

/** Puts a passphrase on the key in that file; its kind. Refused when it has one. */
export const protect = (file: string): Rewritten =>
  Effect.gen(function* () {
    const content = yield* FileKeys.location(file).read(anyKey)
    if (ProtectedKey.find(content) !== undefined)
      return yield* rejected(file, {
        reason: "protection",
        detail: `has a passphrase already; to change it: sealwire keys unprotect ${file}, then protect it again`
      })
    const { kind, secret } = yield* Either.mapLeft(detectKey(content), (refusal) =>
      rejected(file, refusal)
    )
    const text = yield* Passphrase.wrapAsText(file, kind, secret)
    yield* FileKeys.replace(file, Buffer.from(`${commentsOf(content)}${text}`))
    return kind
  })

/** Takes the passphrase off the key in that file; its kind. Refused when it has none. */
export const unprotect = (file: string): Rewritten =>
  Effect.gen(function* () {
    const content = yield* FileKeys.location(file).read(anyKey)
    const found = ProtectedKey.find(content)
    if (found === undefined)
      return yield* rejected(file, { reason: "protection", detail: "has no passphrase" })
    const { kind, secret } = yield* Passphrase.unwrap(
      file,
      yield* Either.mapLeft(found, (refusal) => rejected(file, refusal))
    )
    const comments = commentsOf(content)
    // Raw bytes have no place for comments.
    const plain =
      comments === "" ? KeyText.contentOf(kind, secret) : Buffer.from(KeyText.encode(kind, secret))
    yield* FileKeys.replace(file, Buffer.concat([Buffer.from(comments), plain]))
    return kind
  })

/** What a missing file is said to lack. */
const anyKey = { name: "key", keygen: "sealwire keygen" }

const rejected = (reference: string, refusal: KeyText.Rejection) =>
  new KeyRejected({ reference, ...refusal })

/** The `#` lines above the key, as text, without those that Sealwire writes. */
const commentsOf = (content: Uint8Array): string => {
  const lines = KeyText.linesOf(content) ?? []
  const first = lines.findIndex((line) => line !== "" && !line.startsWith("#"))
  return lines
    .slice(0, first)
    .filter((line) => line !== "" && line !== ProtectedKey.comment && !KeyText.isOwnComment(line))
    .map((line) => `${line}\n`)
    .join("")
}
