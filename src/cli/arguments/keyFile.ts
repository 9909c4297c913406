// Resolves a key reference to a file, for the commands that change key files only.
import * as Effect from "effect/Effect"
import type { KeyReferenceInvalid } from "../../keys/KeyErrors.ts"
import type { Provider } from "../../keys/Provider.ts"
import { FileKeys } from "../../keys/providers/FileKeys.ts"
import * as providers from "../../keys/providers/index.ts"
import { OptionsConflict } from "./options.ts"

/**
 * The path that a reference names. Fails with OptionsConflict for a key that another provider
 * keeps; `advice` is the clause of that error which says why a file is needed and what to do.
 */
export const keyFileOf = (
  reference: string,
  advice: string
): Effect.Effect<string, KeyReferenceInvalid | OptionsConflict> =>
  Effect.flatMap(providers.parse(reference), ({ provider, name }) =>
    provider === FileKeys
      ? Effect.succeed(name)
      : new OptionsConflict({ detail: `not a key file: ${describe(provider)}; ${advice}` })
  )

const describe = ({ form, summary }: Provider): string => `${form} is ${summary}`

/** The path of a key file for `keys protect` and `keys unprotect`. */
export const protectableFile = (reference: string) =>
  keyFileOf(
    reference,
    "only a key file has a passphrase; protect this key with the program that keeps it"
  )
