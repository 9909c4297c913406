import * as Data from "effect/Data"
import type { Secret } from "../bytes/Secret.ts"
import type { KeyPair } from "../keys/KeyPair.ts"

/** To whom a file is encrypted. */
export type Recipients = Data.TaggedEnum<{
  /** Whoever has the file key. */
  FileKey: { readonly key: Secret }
  /** Whoever knows a new passphrase, which the service `Passphrase` is asked for as that of `reference`. */
  Passphrase: { readonly reference: string }
  /** The holders of these public keys, 256 at most; each learns who wrote it. */
  Recipients: { readonly publicKeys: ReadonlyArray<Uint8Array>; readonly sender: KeyPair }
  /** The same, and nobody learns who wrote it. */
  Anonymous: { readonly publicKeys: ReadonlyArray<Uint8Array> }
}>
/** Whom a file is for; the constructors. */
export const Recipients: Data.TaggedEnum.Constructor<Recipients> = Data.taggedEnum<Recipients>()
