import type { KeyObject } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"
import { fromPrivate, encodePrivatePem, decodePrivatePem, type KeyPair } from "./KeyPair.ts"

/**
 * A kind of key: its name, its text form, and what its bytes become. A key of one kind opens nothing of another.
 * Every kind is a value in `kinds`.
 */
export interface KeyKind<Key> {
  /** As errors say it: "classic key". */
  readonly name: string
  /** The bech32 prefix of its text form; upper case because it is secret. */
  readonly prefix: string
  /** How many bytes it has. */
  readonly length: number
  /** How many leading bytes must not all be zero. */
  readonly nonZeroBytes: number
  /** True when a file may also hold exactly these bytes and nothing else, as the origin's `aes_key.bin` does. */
  readonly raw: boolean
  /** The kind's PEM form, where it has one. */
  readonly pem?: {
    /** PKCS #8 of the secret. */
    readonly encode: (secret: Secret) => string
    /** The secret; undefined for what is no such PEM. */
    readonly decode: (text: string) => Secret | undefined
  }
  /** The command that makes one. */
  readonly keygen: string
  /** What the bytes become. */
  make(secret: Secret): Key
}

/** The origin's `aes_key.bin`: a 16-byte AES key, then the 16-byte IV that it uses every time. DESIGN section 5. */
export interface ClassicKey {
  readonly key: Secret
  readonly iv: Secret
}

/** The kind of the classic key, `aes_key.bin`. */
export const ClassicKey: KeyKind<ClassicKey> = {
  name: "classic key",
  prefix: "SEALWIRE-CLASSIC-KEY-",
  length: 32,
  nonZeroBytes: 16,
  raw: true,
  keygen: "sealwire classic keygen",
  make: (secret) => ({ key: secret.slice(0, 16), iv: secret.slice(16) })
}

/** 32 bytes for AES-256-GCM in the classic system: a kind of its own, so that an `aes_key.bin` is never taken for one. */
export interface ClassicGcmKey {
  readonly key: KeyObject
}

/** The kind of the classic GCM key. */
export const ClassicGcmKey: KeyKind<ClassicGcmKey> = {
  name: "classic GCM key",
  prefix: "SEALWIRE-CLASSIC-GCM-KEY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  keygen: "sealwire classic keygen --cipher aes-256-gcm",
  make: (secret) => ({ key: secret.keyObject() })
}

/** 32 random bytes that both sides hold. */
export const SharedKey: KeyKind<Secret> = {
  name: "shared key",
  prefix: "SEALWIRE-SHARED-KEY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  keygen: "sealwire keygen",
  make: (secret) => secret
}

/** The private half of a long-term X25519 key pair: who one is. */
export const Identity: KeyKind<KeyPair> = {
  name: "identity",
  prefix: "SEALWIRE-IDENTITY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  pem: { encode: encodePrivatePem, decode: decodePrivatePem },
  keygen: "sealwire keygen --identity",
  make: fromPrivate
}

/** 32 random bytes that files are encrypted with at rest. It opens no channel. */
export const FileKey: KeyKind<Secret> = {
  name: "file key",
  prefix: "SEALWIRE-FILE-KEY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  keygen: "sealwire keygen --file-key",
  make: (secret) => secret
}

/** Every kind there is; a text form is recognised by looking here. */
export const kinds: ReadonlyArray<KeyKind<unknown>> = [
  SharedKey,
  Identity,
  FileKey,
  ClassicKey,
  ClassicGcmKey
]
