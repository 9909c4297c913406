// Adds a passphrase to a key file, or removes it, in place.
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

type RewrittenKind = Effect.Effect<
  KeyKind<unknown>,
  KeyLoadError | KeyNotReplaced | PassphraseRefused
>

/**
 * Protects the key in a file with a passphrase and returns its kind. Fails with KeyRejected when
 * the key is protected already.
 */
export const protect = (file: string): RewrittenKind =>
  Effect.gen(function* () {
    const content = yield* FileKeys.location(file).read(anyKind)
    if (ProtectedKey.find(content) !== undefined)
      return yield* rejected(file, {
        reason: "already protected",
        detail: "has a passphrase already; remove it before you set another"
      })
    const { kind, secret, format } = yield* Either.mapLeft(detectKey(content), (rejection) =>
      rejected(file, rejection)
    )
    // A PEM may stand between lines in any encoding; they would be lost.
    if (format !== "raw" && KeyText.linesOf(content) === undefined)
      return yield* rejected(file, {
        reason: "damaged",
        detail: "has a comment that is not valid UTF-8; remove the comment first"
      })
    const text = yield* Passphrase.wrapAsText(file, kind, secret)
    yield* FileKeys.replace(file, Buffer.from(`${commentsOf(content)}${text}`))
    return kind
  })

/**
 * Removes the passphrase from the key in a file and returns its kind. Fails with KeyRejected when
 * the key has none.
 */
export const unprotect = (file: string): RewrittenKind =>
  Effect.gen(function* () {
    const content = yield* FileKeys.location(file).read(anyKind)
    const found = ProtectedKey.find(content)
    if (found === undefined)
      return yield* rejected(file, { reason: "not protected", detail: "has no passphrase" })
    const { kind, secret } = yield* Passphrase.unwrap(
      file,
      yield* Either.mapLeft(found, (rejection) => rejected(file, rejection))
    )
    const comments = commentsOf(content)
    // The raw form cannot hold comments, so a key with comments is written in its text form.
    const plain =
      comments === "" ? KeyText.contentOf(kind, secret) : Buffer.from(KeyText.encode(kind, secret))
    yield* FileKeys.replace(file, Buffer.concat([Buffer.from(comments), plain]))
    return kind
  })

/** Stands for the kind in the error for a missing file. */
const anyKind = { name: "key", remedy: "check the path" }

const rejected = (reference: string, rejection: KeyText.Rejection) =>
  new KeyRejected({ reference, ...rejection })

/** Returns the `#` lines above the key as text, without the comments that Sealwire writes. */
const commentsOf = (content: Uint8Array): string => {
  const lines = KeyText.linesOf(content) ?? []
  const keyIndex = lines.findIndex((line) => line !== "" && !line.startsWith("#"))
  return lines
    .slice(0, keyIndex)
    .filter(
      (line) => line !== "" && !ProtectedKey.isOwnComment(line) && !KeyText.isOwnComment(line)
    )
    .map((line) => `${line}\n`)
    .join("")
}
