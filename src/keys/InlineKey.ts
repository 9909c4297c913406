// A key that stands where only the place of one belongs: in a reference, in the name of a file.
import { KeyReferenceInvalid } from "./KeyErrors.ts"
import { kinds } from "./KeyKind.ts"
import { prefix as protectedPrefix } from "./ProtectedKey.ts"

const prefixes = [...kinds.map(({ prefix }) => prefix), protectedPrefix].join("|")

/** What a shell's `$(cat sealwire.key)`, a slip or a script without a file makes of a key, in each of the forms it has. */
const forms: ReadonlyArray<RegExp> = [
  // At the beginning, behind a scheme or a name, also when only a part of it is there.
  new RegExp(`(?:^|[:=])\\s*(?:${prefixes})1`, "i"),
  new RegExp(`(?:${prefixes})1[02-9ac-hj-np-z]{16}`, "i"),
  /(?:^|[:=])\s*[0-9a-f]{64}\s*$/i,
  /(?:^|[:=])\s*-----BEGIN /
]

export const isInlineKey = (reference: string): boolean =>
  forms.some((form) => form.test(reference))

/** It says nothing of the text that was given. */
export const inlineKeyError = (): KeyReferenceInvalid =>
  new KeyReferenceInvalid({
    detail:
      "this is a key itself, where the place of one belongs; put it in a file, or give it as env:NAME; " +
      "if a shell's history has it now, make a new key"
  })

const shown = new RegExp(`((?:${prefixes})1)[02-9ac-hj-np-z]{16,}`, "gi")

/** The text with … for the secret part of every key in it. */
export const redact = (text: string): string => text.replace(shown, "$1…")
