import { CredKeys } from "./CredKeys.ts"
import { EnvKeys } from "./EnvKeys.ts"
import { ExecKeys } from "./ExecKeys.ts"
import { FdKeys } from "./FdKeys.ts"
import { FileKeys } from "./FileKeys.ts"
import { KeyringKeys } from "./KeyringKeys.ts"
import type { Place, Provider } from "./Provider.ts"

/** Every way of keeping keys that a reference can name. */
export const providers: ReadonlyArray<Provider> = [FileKeys, EnvKeys, FdKeys, ExecKeys, CredKeys, KeyringKeys]

/** The place a reference names; text without a known scheme is the path of a file. */
export const placeOf = (reference: string): Place => {
  const provider = providers.find(({ scheme }) => reference.startsWith(`${scheme}:`))
  return provider === undefined ? FileKeys.place(reference) : provider.place(reference.slice(provider.scheme.length + 1))
}
