import * as Data from "effect/Data"
import type { Secret } from "../bytes/Secret.ts"
import type { KeyPair } from "../keys/KeyPair.ts"

/** The recipients of a file. */
export type Recipients = Data.TaggedEnum<{
  /** The holders of a file key. */
  FileKey: { readonly key: Secret }
  /**
   * Everyone who knows a new passphrase, requested from the service `Passphrase` for `reference`.
   */
  Passphrase: { readonly reference: string }
  /** The holders of these public keys, at most 256. Each learns the sender's public key. */
  Recipients: { readonly publicKeys: ReadonlyArray<Uint8Array>; readonly sender: KeyPair }
  /** The holders of these public keys, at most 256. They do not learn the sender. */
  Anonymous: { readonly publicKeys: ReadonlyArray<Uint8Array> }
}>
/** The constructors of `Recipients`. */
export const Recipients: Data.TaggedEnum.Constructor<Recipients> = Data.taggedEnum<Recipients>()
