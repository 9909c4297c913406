import type * as Effect from "effect/Effect"
import type { KeyCreateError, KeyLoadError } from "./KeyErrors.ts"
import type { KeyKind } from "./KeyKind.ts"

/**
 * A location that stores one key. It reads and writes content; `KeyStore` decodes and checks it.
 */
export interface KeyLocation {
  /** The location in the form that a user writes: `./aes_key.bin`, `env:SEALWIRE_KEY`. */
  readonly reference: string
  /**
   * Reads the content: at most `maxKeyText` + 1 bytes, so that `KeyText` can reject longer content.
   * The kind is the one wanted, for errors.
   */
  read(kind: Pick<KeyKind<unknown>, "name" | "remedy">): Effect.Effect<Uint8Array, KeyLoadError>
  /**
   * Writes a new key and never overwrites one. A location that Sealwire cannot write has the
   * instruction for the user instead: "set NAME to the text of the key".
   */
  readonly write: ((content: Uint8Array) => Effect.Effect<void, KeyCreateError>) | string
}

/** A type of key location: a scheme of key references (`env:NAME`) and the locations it names. */
export interface Provider {
  readonly scheme: string
  /** The syntax of its references, for help texts: "env:NAME". */
  readonly form: string
  readonly summary: string
  /** Returns the location with this name, the part of a reference after the scheme. */
  readonly location: (name: string) => KeyLocation
}
