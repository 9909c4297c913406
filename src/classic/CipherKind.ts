import type { KeyKind } from "../keys/KeyKind.ts"

/** A cipher with its key. Both functions are pure. */
export interface KeyedCipher {
  /** Returns the ciphertext with everything that decryption needs except the key. */
  readonly encrypt: (plaintext: Uint8Array) => Uint8Array
  /** Returns the plaintext; undefined when the key is wrong or the ciphertext was changed. */
  readonly decrypt: (ciphertext: Uint8Array) => Uint8Array | undefined
}

/** A cipher of the classic system. Every cipher is an entry of `ciphers`. */
export interface CipherKind<Key> {
  /** The name in options and configuration files. */
  readonly name: string
  readonly summary: string
  /** A warning for an insecure cipher. */
  readonly danger?: string
  readonly key: KeyKind<Key>
  /** Default path of its key. */
  readonly keyFile: string
  /** Maximum plaintext of the original C++ server, in bytes, if it supports this cipher. */
  readonly originLimit?: number
  /** Makes the cipher from its key. */
  make(key: Key): KeyedCipher
}
