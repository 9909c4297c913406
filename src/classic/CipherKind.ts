import type { KeyKind } from "../keys/KeyKind.ts"

/** A cipher under one key. Both are pure: bytes in, bytes out. */
export interface Sealer {
  /** The sealed message, with all that opening it takes but the key. */
  readonly encrypt: (plaintext: Uint8Array) => Uint8Array
  /** Undefined when the ciphertext was not made under this key, or is not whole. It does not say which. */
  readonly decrypt: (ciphertext: Uint8Array) => Uint8Array | undefined
}

/** A cipher of the classic system. Every cipher is a value in `ciphers`. */
export interface CipherKind<Key> {
  /** As `--cipher` takes it. */
  readonly name: string
  readonly summary: string
  /** What a person must know before using it, where it is not safe. */
  readonly danger?: string
  readonly key: KeyKind<Key>
  /** Where its key is kept unless told otherwise. */
  readonly keyFile: string
  /** The longest text the origin's programs can take, in bytes, where they understand this cipher. */
  readonly originLimit?: number
  /** The cipher under this key. */
  make(key: Key): Sealer
}
