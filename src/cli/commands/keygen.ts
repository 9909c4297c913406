import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Secret } from "../../bytes/Secret.ts"
import { FileKey, Identity, SharedKey, type KeyKind } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import * as KeyText from "../../keys/KeyText.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { Event } from "../output/events/index.ts"

/** The default kind of key. */
const defaultKind = {
  kind: SharedKey,
  file: () => options.sharedKeyFile,
  shown: options.sharedKeyFile,
  own: false
}

/** The other kinds, each with its option. `own`: kept in this user's configuration folder. */
const otherKinds = [
  {
    name: "identity",
    kind: Identity,
    file: options.identityFile,
    shown: options.shownIdentityFile,
    own: true
  },
  {
    name: "file-key",
    kind: FileKey,
    file: () => options.fileKeyFile,
    shown: options.fileKeyFile,
    own: false
  }
] as const

export const keygen = commandSpec(
  ["keygen"],
  "create a shared key, an identity or a file key; never overwrites",
  [
    ["sealwire keygen", `create ${options.sharedKeyFile}; copy it to the other side securely`],
    ["sealwire keygen --identity", "create your identity; sealwire pubkey shows its public key"],
    ["sealwire keygen --file-key -o ./backup.key", "create a key for encrypting files"],
    [
      "sealwire keygen -o - | pass insert -m sealwire/server",
      "write the key to standard output, for a password manager"
    ]
  ],
  {
    identity: Options.boolean("identity").pipe(
      Options.withDescription(
        "Create an identity (X25519 key pair). Others get only its public key."
      )
    ),
    fileKey: Options.boolean("file-key").pipe(
      Options.withDescription("Create a key for encrypt and decrypt. It cannot open a channel.")
    ),
    output: Options.text("output").pipe(
      Options.withAlias("o"),
      Options.withPseudoName("KEY"),
      Options.optional,
      Options.withDescription(
        `Where to store the key: ${options.writableKeyLocations}; or - for standard output. ` +
          `Default: ${defaultKind.shown}${otherKinds.map(({ kind, shown }) => `, for ${KeyText.withArticle(kind)} ${shown}`).join("")}.`
      )
    ),
    key: Options.text("key").pipe(
      Options.withPseudoName("KEY"),
      Options.optional,
      Options.withDescription("Alias of --output.")
    ),
    pem: Options.boolean("pem").pipe(
      Options.withDescription("Write the identity as PEM (PKCS #8), as for openssl pkey.")
    ),
    json: options.json
  },
  ({ identity, fileKey, output, key, pem, json }) =>
    Effect.gen(function* () {
      const requested = otherKinds.filter(({ name }) => ({ identity, "file-key": fileKey })[name])
      if (requested.length > 1)
        return yield* options.optionError(
          "identity",
          "excludes --file-key; create one key at a time"
        )
      if (Option.isSome(output) && Option.isSome(key))
        return yield* options.optionError("output", "is the same as --key; use only one of them")
      const { kind, file, own } = requested[0] ?? defaultKind
      const form = pem ? "pem" : "usual"
      if (pem && kind.pem === undefined)
        return yield* options.optionError(
          "pem",
          `${KeyText.withArticle(kind)} has no PEM form; only an identity has`
        )

      const reference = Option.getOrUndefined(Option.orElse(output, () => key))
      if (reference === "-") return yield* printKey(kind, form, json)
      if (own && reference === undefined) yield* options.createConfigFolder
      yield* createKey(kind, form, json).pipe(
        Effect.provide(KeyStore.layerReference(reference ?? file()))
      )
    })
)

const createKey = (kind: KeyKind<unknown>, form: KeyText.Format, json: boolean) =>
  Effect.gen(function* () {
    const report = yield* Report
    const store = yield* KeyStore
    yield* store.create(kind, form)
    yield* report.emit(Event.KeyCreated({ reference: store.reference, kind: kind.name }), {
      json,
      wire: false,
      exact: false
    })
  })

const printKey = (kind: KeyKind<unknown>, form: KeyText.Format, json: boolean) =>
  Effect.gen(function* () {
    if (json) return yield* options.optionError("json", "stdout carries the key; remove --json")
    yield* Effect.logWarning(
      `writing the ${kind.name} to standard output: anyone who sees it can use it`
    )
    const report = yield* Report
    yield* report.write(KeyText.contentOf(kind, Secret.random(kind.length), form))
  })
