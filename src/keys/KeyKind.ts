import type { KeyObject } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"
import { encodePrivatePem, fromPrivate, decodePrivatePem, type KeyPair } from "./KeyPair.ts"

/**
 * A kind of key: its name, its text form, and the value made of its bytes. A key of one kind is
 * never accepted where another is wanted. Every kind is a value in `kinds`.
 */
export interface KeyKind<Key> {
  /** The name in errors: "classic key". */
  readonly name: string
  /** The bech32 prefix of its text form; upper case because it is secret. */
  readonly prefix: string
  /** Length in bytes. */
  readonly length: number
  /** Number of leading bytes that must not all be zero. */
  readonly nonZeroBytes: number
  /** True when a file may also hold exactly these bytes and nothing else, as `aes_key.bin` does. */
  readonly raw: boolean
  /** The kind's PEM form, where it has one. */
  readonly pem?: {
    /** Encodes the secret as PKCS #8. */
    readonly encode: (secret: Secret) => string
    /** Decodes the secret; undefined when the text is not a PEM of this kind. */
    readonly decode: (text: string) => Secret | undefined
  }
  /** The command that creates one, quoted in the comment of its text form. */
  readonly keygen: string
  /** The next step in errors when there is none. */
  readonly remedy: string
  /** Makes the key from its bytes. */
  make(secret: Secret): Key
}

const copyOrCreate = "copy it from the other side or create one"

/**
 * The key of the C++ programs, `aes_key.bin`: a 16-byte AES key, then the 16-byte IV that they use
 * for every message.
 */
export interface ClassicKey {
  readonly key: Secret
  readonly iv: Secret
}

/** The kind of `aes_key.bin`. */
export const ClassicKey: KeyKind<ClassicKey> = {
  name: "classic key",
  prefix: "SEALWIRE-CLASSIC-KEY-",
  length: 32,
  nonZeroBytes: 16,
  raw: true,
  keygen: "sealwire classic keygen",
  remedy: copyOrCreate,
  make: (secret) => ({ key: secret.slice(0, 16), iv: secret.slice(16) })
}

/**
 * A 32-byte key for AES-256-GCM in the classic system. It is a separate kind, so that an
 * `aes_key.bin` is never used with GCM.
 */
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
  remedy: copyOrCreate,
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
  remedy: copyOrCreate,
  make: (secret) => secret
}

/** The private key of a long-term X25519 key pair, which identifies its holder. */
export const Identity: KeyKind<KeyPair> = {
  name: "identity",
  prefix: "SEALWIRE-IDENTITY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  pem: { encode: encodePrivatePem, decode: decodePrivatePem },
  keygen: "sealwire keygen identity",
  remedy: "create one",
  make: fromPrivate
}

/** 32 random bytes that encrypt files at rest. No channel accepts it. */
export const FileKey: KeyKind<Secret> = {
  name: "file key",
  prefix: "SEALWIRE-FILE-KEY-",
  length: 32,
  nonZeroBytes: 32,
  raw: false,
  keygen: "sealwire keygen file-key",
  remedy: copyOrCreate,
  make: (secret) => secret
}

/** Every kind, by a name for programs. */
export const kindsByName = {
  sharedKey: SharedKey,
  identity: Identity,
  fileKey: FileKey,
  classicKey: ClassicKey,
  classicGcmKey: ClassicGcmKey
} as const

/** Every kind. The kind of a text form is found in this list. */
export const kinds: ReadonlyArray<KeyKind<unknown>> = Object.values(kindsByName)
