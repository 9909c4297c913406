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
 * Where this program's key is kept.
 *
 * @example
 * const key = KeyStore.pipe(Effect.flatMap((store) => store.load(ClassicKey)))
 * Effect.provide(key, KeyStore.layerFile("./aes_key.bin")) // or layerEnv, layerMemory, layerReference
 */
export class KeyStore extends Context.Tag("sealwire/keys/KeyStore")<KeyStore, KeyStore.Shape>() {
  /** A file of mode 0600 that this user owns. */
  static readonly layerFile = (path: string): Layer.Layer<KeyStore> =>
    layerPlace(FileKeys.location(path))

  /** An environment variable that holds the text of the key. */
  static readonly layerEnv = (name: string): Layer.Layer<KeyStore> =>
    layerPlace(EnvKeys.location(name))

  /** An open file descriptor, read once. */
  static readonly layerFd = (descriptor: number): Layer.Layer<KeyStore> =>
    layerPlace(FdKeys.location(String(descriptor)))

  /** What a command prints, run by /bin/sh: `pass show sealwire/server`. */
  static readonly layerExec = (command: string): Layer.Layer<KeyStore> =>
    layerPlace(ExecKeys.location(command))

  /** A credential that systemd gave this service. */
  static readonly layerCredential = (name: string): Layer.Layer<KeyStore> =>
    layerPlace(CredKeys.location(name))

  /** The desktop's keyring. It asks for the package `@napi-rs/keyring`, which is not installed with this one. */
  static readonly layerKeyring = (service: string, account: string): Layer.Layer<KeyStore> =>
    layerPlace(KeyringKeys.location(`${service}/${account}`))

  /** In this process alone: `content` is what a key file would hold. */
  static readonly layerMemory = (content?: Uint8Array | string): Layer.Layer<KeyStore> =>
    layerPlace(MemoryKeys.location(content))

  /** Wherever a reference points: `./aes_key.bin`, `file:./aes_key.bin`, `env:SEALWIRE_KEY`, `exec:pass show key`. */
  static readonly layerReference = (reference: string): Layer.Layer<KeyStore> =>
    layerPlace(locate(reference))

  /** A place of the program's own: a KMS, a vault. What a key is and when it is refused is decided here, as for every other. */
  static readonly layerLocation = (place: KeyLocation): Layer.Layer<KeyStore> => layerPlace(place)
}

export declare namespace KeyStore {
  /** What a KeyStore does. */
  interface Shape {
    /** Where that is, as a person writes it. */
    readonly reference: string
    /** The key, checked: kind, length, not all zero, and what the place itself checks (owner, permissions). */
    readonly load: <Key>(kind: KeyKind<Key>) => Effect.Effect<Key, KeyLoadError>
    /** Makes a fresh key there. Never overwrites: `KeyExists`. Where others put the keys (env, fd, exec …): `KeyNotCreated`. */
    readonly create: (
      kind: KeyKind<unknown>,
      form?: KeyText.Format
    ) => Effect.Effect<void, KeyCreateError>
    /** As `create`, and false when something is there already, or others put it there. Of two that call at once, one creates. */
    readonly createIfMissing: (
      kind: KeyKind<unknown>
    ) => Effect.Effect<boolean, Exclude<KeyCreateError, KeyExists>>
  }
}

const layerPlace = (place: KeyLocation): Layer.Layer<KeyStore> =>
  Layer.succeed(KeyStore, ofPlace(place))

const ofPlace = (place: KeyLocation): KeyStore.Shape => {
  const { reference, write } = place
  const create = (kind: KeyKind<unknown>, form?: KeyText.Format) =>
    Effect.suspend((): Effect.Effect<void, KeyCreateError> =>
      typeof write === "string"
        ? new KeyNotCreated({ reference, detail: `keys are not made there; ${write}` })
        : write(KeyText.contentOf(kind, Secret.random(kind.length), form))
    )
  return {
    reference,
    load: (kind) =>
      Effect.gen(function* () {
        return kind.make(yield* secretOf(reference, kind, yield* place.read(kind)))
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
    const accepted = Either.mapLeft(
      (refusal: KeyText.Rejection) => new KeyRejected({ reference, ...refusal })
    )
    const found = ProtectedKey.find(content)
    if (found === undefined) return yield* accepted(KeyText.decode(wanted, content))
    // Its kind is inside: only an opened key can be of the wrong one.
    const { kind, secret } = yield* Passphrase.unwrap(reference, yield* accepted(found))
    return yield* accepted(
      kind === wanted ? KeyText.rejectZeros(kind, secret) : KeyText.wrongKind(kind, wanted)
    )
  })
