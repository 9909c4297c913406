import type * as Effect from "effect/Effect"
import type { KeyCreateError, KeyLoadError } from "./KeyErrors.ts"
import type { KeyKind } from "./KeyKind.ts"

/** One place that keeps one key. It deals in content; which key that is, `KeyStore` decides. */
export interface KeyLocation {
  /** As a person writes it: `./aes_key.bin`, `env:SEALWIRE_KEY`. */
  readonly reference: string
  /** What is kept there, at most `maxKeyText` + 1 bytes, so that `KeyText` sees when there is more. */
  read(kind: Pick<KeyKind<unknown>, "name" | "keygen">): Effect.Effect<Uint8Array, KeyLoadError>
  /** Puts a new key there, never over something; or, where others put the keys, how they do: "set NAME to the text of a key". */
  readonly write: ((content: Uint8Array) => Effect.Effect<void, KeyCreateError>) | string
}

/** A way of keeping keys: a scheme of key references (`env:NAME`) and the places it names. */
export interface Provider {
  readonly scheme: string
  /** For help texts: "env:NAME". */
  readonly form: string
  readonly summary: string
  /** The place of that name: what stands behind the scheme. */
  readonly location: (name: string) => KeyLocation
}
