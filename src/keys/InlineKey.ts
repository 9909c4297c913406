// Detects a key in text that should only name the location of one: a reference, a file name.
import { KeyReferenceInvalid } from "./KeyErrors.ts"
import { kinds } from "./KeyKind.ts"
import { prefix as protectedPrefix } from "./ProtectedKey.ts"

const prefixes = [...kinds.map(({ prefix }) => prefix), protectedPrefix].join("|")

/** Every text form of a key, as `$(cat sealwire.key)` in a shell or a mistake produces it. */
const forms: ReadonlyArray<RegExp> = [
  // At the beginning, or after a scheme or a name, even a truncated key.
  new RegExp(`(?:^|[:=])\\s*(?:${prefixes})1`, "i"),
  new RegExp(`(?:${prefixes})1[02-9ac-hj-np-z]{16}`, "i"),
  /(?:^|[:=])\s*[0-9a-f]{64}\s*$/i,
  /(?:^|[:=])\s*-----BEGIN /,
  // Keys of other programs: age, JWK.
  /AGE-SECRET-KEY-(?:[A-Z]+-)*1/i,
  /^\s*\{.*"(?:kty|d|k)"\s*:/s
]

/** True when the reference contains a key. */
export const isInlineKey = (reference: string): boolean =>
  forms.some((form) => form.test(reference))

/** The error for a reference that contains a key. Its message repeats nothing of the text. */
export const inlineKeyError = (): KeyReferenceInvalid =>
  new KeyReferenceInvalid({
    detail:
      "this is a key, not the location of a key; store it in a file, or pass it as env:NAME; " +
      "other users can see arguments, and the shell keeps them: if it was one, treat the key as exposed and create a new one"
  })

const secretPart = new RegExp(`((?:${prefixes})1)[02-9ac-hj-np-z]{16,}`, "gi")

/** Replaces the secret part of every key in the text with "…". */
export const redact = (text: string): string => text.replace(secretPart, "$1…")
