import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Secret } from "../bytes/Secret.ts"
import * as CredKeys from "./providers/CredKeys.ts"
import * as EnvKeys from "./providers/EnvKeys.ts"
import * as ExecKeys from "./providers/ExecKeys.ts"
import * as FdKeys from "./providers/FdKeys.ts"
import * as FileKeys from "./providers/FileKeys.ts"
import {
  KeyNotCreated,
  KeyRejected,
  KeyUnavailable,
  type KeyCreateError,
  type KeyExists,
  type KeyLoadError
} from "./KeyErrors.ts"
import { kindsByName, type KeyKind } from "./KeyKind.ts"
import * as KeyringKeys from "./providers/KeyringKeys.ts"
import * as KeyText from "./KeyText.ts"
import * as MemoryKeys from "./providers/MemoryKeys.ts"
import * as Passphrase from "./Passphrase.ts"
import * as ProtectedKey from "./ProtectedKey.ts"
import type { KeyLocation } from "./Provider.ts"
import { locate } from "./providers/index.ts"

/** A key store for each kind of key, by the names of `kindsByName`. */
type StoresByKind<E, R> = {
  readonly [Name in keyof typeof kindsByName]?: Layer.Layer<KeyStore, E, R>
}

type ErrorOf<Stores> = {
  [Name in keyof Stores]: Stores[Name] extends Layer.Layer<infer _A, infer E, infer _R> ? E : never
}[keyof Stores]

type ContextOf<Stores> = {
  [Name in keyof Stores]: Stores[Name] extends Layer.Layer<infer _A, infer _E, infer R> ? R : never
}[keyof Stores]

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
  static readonly layerMemory = (
    content?: Uint8Array | string | Redacted.Redacted
  ): Layer.Layer<KeyStore> => KeyStore.layerLocation(MemoryKeys.location(plain(content)))

  /**
   * The text of a key in the configuration of the program, which its ConfigProvider reads once.
   *
   * @example
   * KeyStore.layerConfig(Config.redacted("SEALWIRE_KEY"))
   */
  static readonly layerConfig = (
    text: Config.Config<string | Redacted.Redacted>
  ): Layer.Layer<KeyStore, ConfigError.ConfigError> =>
    Layer.effect(
      KeyStore,
      Effect.map(text, (content) => fromLocation(MemoryKeys.location(plain(content), "config")))
    )

  /**
   * A key store for each kind of key that the program has. Another kind fails with
   * `KeyUnavailable`.
   *
   * @example
   * KeyStore.layerByKind({
   *   identity: KeyStore.layerFile("./server.key"),
   *   sharedKey: KeyStore.layerEnv("SEALWIRE_SHARED_KEY")
   * })
   */
  static readonly layerByKind = <const Stores extends StoresByKind<unknown, unknown>>(
    stores: Stores
  ): Layer.Layer<KeyStore, ErrorOf<Stores>, ContextOf<Stores>> =>
    Layer.scoped(
      KeyStore,
      byKind(
        stores as StoresByKind<unknown, unknown> as StoresByKind<ErrorOf<Stores>, ContextOf<Stores>>
      )
    ) as Layer.Layer<KeyStore, ErrorOf<Stores>, ContextOf<Stores>>

  /**
   * Creates a random key of this kind where the store has none.
   *
   * @example
   * KeyStore.layerFile("./sealwire.key").pipe(KeyStore.creating(SharedKey))
   */
  static readonly creating =
    (kind: KeyKind<unknown>) =>
    <E, R>(
      store: Layer.Layer<KeyStore, E, R>
    ): Layer.Layer<KeyStore, E | Exclude<KeyCreateError, KeyExists>, R> =>
      Layer.tap(store, (context) => Context.get(context, KeyStore).createIfMissing(kind))

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
        return kind.make(yield* secretOf(reference, kind, yield* readContent(location, kind)))
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

/** Reads the content. A location that throws, or gives something else, is one that has no key. */
const readContent = (
  location: KeyLocation,
  kind: KeyKind<unknown>
): Effect.Effect<Uint8Array, KeyLoadError> => {
  const { reference } = location
  const unavailable = (reason: string) =>
    new KeyUnavailable({ reference, reason, hint: "mend the program that provides it" })
  return Effect.suspend(() => location.read(kind)).pipe(
    // The defect itself may contain a secret.
    Effect.catchAllDefect((defect) =>
      unavailable(`its provider threw ${defect instanceof Error ? defect.name : typeof defect}`)
    ),
    Effect.filterOrElse(Predicate.isUint8Array, () => unavailable("its provider gave no bytes"))
  )
}

const plain = <A extends Uint8Array | string>(
  content: A | Redacted.Redacted | undefined
): A | string | undefined => (Redacted.isRedacted(content) ? Redacted.value(content) : content)

/** Builds the stores, and passes each operation to that of its kind. */
const byKind = <E, R>(
  stores: StoresByKind<E, R>
): Effect.Effect<KeyStore.Shape, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const shapes = new Map<KeyKind<unknown>, KeyStore.Shape>()
    for (const name of Object.keys(stores) as Array<keyof typeof kindsByName>) {
      const store = stores[name]
      if (store !== undefined)
        shapes.set(kindsByName[name], Context.get(yield* Layer.build(store), KeyStore))
    }
    const reference = [...shapes.values()].map((shape) => shape.reference).join(", ")
    const none = (kind: KeyKind<unknown>): KeyStore.Shape =>
      fromLocation({
        reference,
        read: () =>
          new KeyUnavailable({
            reference,
            reason: `no key store is given for the kind "${kind.name}"`,
            hint: "add one to layerByKind"
          }),
        write: `no key store is given for the kind "${kind.name}"`
      })
    const storeOf = (kind: KeyKind<unknown>) => shapes.get(kind) ?? none(kind)
    return {
      reference,
      load: (kind) => storeOf(kind).load(kind),
      create: (kind, form) => storeOf(kind).create(kind, form),
      createIfMissing: (kind) => storeOf(kind).createIfMissing(kind)
    }
  })

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
