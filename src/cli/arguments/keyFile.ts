// The file that a reference names, for the commands that change key files and no other place.
import * as Effect from "effect/Effect"
import type { KeyReferenceInvalid } from "../../keys/KeyErrors.ts"
import type { Provider } from "../../keys/Provider.ts"
import { FileKeys } from "../../keys/providers/FileKeys.ts"
import * as providers from "../../keys/providers/index.ts"
import { OptionsConflict } from "./options.ts"

/** `purpose` says why the place must be a file, and what to do about another one. */
export const keyFileOf = (
  reference: string,
  purpose: string
): Effect.Effect<string, KeyReferenceInvalid | OptionsConflict> =>
  Effect.flatMap(providers.parse(reference), ({ provider, name }) =>
    provider === FileKeys
      ? Effect.succeed(name)
      : new OptionsConflict({ detail: `${described(provider)}, and ${purpose}` })
  )

const described = ({ form, summary }: Provider): string => `${form} is ${summary}`

/** Of the commands that put a passphrase on a key file, or take it off. */
export const protectableFile = (reference: string) =>
  keyFileOf(reference, "a passphrase goes on a key file; who keeps the key there protects it")
