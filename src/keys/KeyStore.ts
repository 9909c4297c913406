import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { Secret } from "../bytes/Secret.ts"
import * as CredKeys from "./providers/CredKeys.ts"
import * as EnvKeys from "./providers/EnvKeys.ts"
import * as ExecKeys from "./providers/ExecKeys.ts"
import * as FdKeys from "./providers/FdKeys.ts"
import * as FileKeys from "./providers/FileKeys.ts"
import {
  KeyNotCreated,
  KeyRejected,
  type KeyCreateError,
  type KeyExists,
  type KeyLoadError
} from "./KeyErrors.ts"
import type { KeyKind } from "./KeyKind.ts"
import * as KeyringKeys from "./providers/KeyringKeys.ts"
import * as KeyText from "./KeyText.ts"
import * as MemoryKeys from "./providers/MemoryKeys.ts"
import * as Passphrase from "./Passphrase.ts"
import * as ProtectedKey from "./ProtectedKey.ts"
import type { KeyLocation } from "./Provider.ts"
import { locate } from "./providers/index.ts"

/**
 * The location of this program's key.
 *
 * @example
 * const key = KeyStore.pipe(Effect.flatMap((store) => store.load(ClassicKey)))
 * // or layerEnv, layerMemory, layerReference
 * Effect.provide(key, KeyStore.layerFile("./aes_key.bin"))
 */
export class KeyStore extends Context.Tag("sealwire/keys/KeyStore")<KeyStore, KeyStore.Shape>() {
  /** A file with mode 0600 that this user owns. */
  static readonly layerFile = (path: string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(FileKeys.location(path))

  /** An environment variable that holds the text of the key. */
  static readonly layerEnv = (name: string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(EnvKeys.location(name))

  /** An open file descriptor, which is read once. */
  static readonly layerFd = (descriptor: number): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(FdKeys.location(String(descriptor)))

  /** The output of a command run by /bin/sh: `pass show sealwire/server`. */
  static readonly layerExec = (command: string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(ExecKeys.location(command))

  /** A credential that systemd passed to this service. */
  static readonly layerCredential = (name: string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(CredKeys.location(name))

  /**
   * The desktop's keyring. Requires the package `@napi-rs/keyring`, which is not installed with
   * this one.
   */
  static readonly layerKeyring = (service: string, account: string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(KeyringKeys.location(`${service}/${account}`))

  /** This process's memory. `content` is the content of a key file. */
  static readonly layerMemory = (content?: Uint8Array | string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(MemoryKeys.location(content))

  /**
   * The location that a reference names: `./aes_key.bin`, `file:./aes_key.bin`,
   * `env:SEALWIRE_KEY`, `exec:pass show key`.
   */
  static readonly layerReference = (reference: string): Layer.Layer<KeyStore> =>
    KeyStore.layerLocation(locate(reference))

  /**
   * A location that the program implements: a KMS, a vault. The key store checks the key as it does
   * for every other location.
   */
  static readonly layerLocation = (location: KeyLocation): Layer.Layer<KeyStore> =>
    Layer.succeed(KeyStore, fromLocation(location))
}

export declare namespace KeyStore {
  /** The operations of a KeyStore. */
  interface Shape {
    /** The location in the form that a user writes. */
    readonly reference: string
    /**
     * Loads the key and checks its kind and length, that it is not all zero, and what the location
     * itself checks (owner, permissions).
     */
    readonly load: <Key>(kind: KeyKind<Key>) => Effect.Effect<Key, KeyLoadError>
    /**
     * Creates a random key. Fails with `KeyExists` instead of overwriting one, and with
     * `KeyNotCreated` where the location cannot be written (env, fd, exec, …).
     */
    readonly create: (
      kind: KeyKind<unknown>,
      form?: KeyText.Format
    ) => Effect.Effect<void, KeyCreateError>
    /**
     * Creates a key and returns true; returns false when the location has content or cannot be
     * written. Exactly one of several concurrent calls creates the key.
     */
    readonly createIfMissing: (
      kind: KeyKind<unknown>
    ) => Effect.Effect<boolean, Exclude<KeyCreateError, KeyExists>>
  }
}

const fromLocation = (location: KeyLocation): KeyStore.Shape => {
  const { reference, write } = location
  const create = (kind: KeyKind<unknown>, form?: KeyText.Format) =>
    Effect.suspend((): Effect.Effect<void, KeyCreateError> =>
      typeof write === "string"
        ? new KeyNotCreated({ reference, detail: `keys are not created there; ${write}` })
        : write(KeyText.contentOf(kind, Secret.random(kind.length), form))
    )
  return {
    reference,
    load: (kind) =>
      Effect.gen(function* () {
        return kind.make(yield* secretOf(reference, kind, yield* location.read(kind)))
      }),
    create,
    createIfMissing: (kind) =>
      typeof write === "string"
        ? Effect.succeed(false)
        : create(kind).pipe(
            Effect.as(true),
            Effect.catchTag("KeyExists", () => Effect.succeed(false))
          )
  }
}

const secretOf = (reference: string, wanted: KeyKind<unknown>, content: Uint8Array) =>
  Effect.gen(function* () {
    const orRejected = Either.mapLeft(
      (rejection: KeyText.Rejection) => new KeyRejected({ reference, ...rejection })
    )
    const found = ProtectedKey.find(content)
    if (found === undefined) return yield* orRejected(KeyText.decode(wanted, content))
    // The kind of a protected key is encrypted, so it is known only after unwrapping.
    const { kind, secret } = yield* Passphrase.unwrap(reference, yield* orRejected(found))
    return yield* orRejected(
      kind === wanted ? KeyText.rejectZeros(kind, secret) : KeyText.wrongKind(kind, wanted)
    )
  })
