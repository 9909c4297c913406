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

/** What is made unless an option asks for another kind, and where it goes. */
const usual = {
  kind: SharedKey,
  file: () => options.sharedKeyFile,
  shown: options.sharedKeyFile,
  own: false
}

/** The other kinds, each with the option that asks for it; `own` is the folder of this user's own. */
const others = [
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
  "make a shared key, an identity or a file key; never over an old one",
  [
    ["sealwire keygen", `makes ${options.sharedKeyFile}, to be copied to the other side`],
    [
      "sealwire keygen --identity",
      "makes this user's identity; sealwire pubkey shows its public half"
    ],
    ["sealwire keygen --file-key -o ./backup.key", "a key that files are encrypted with"],
    [
      "sealwire keygen -o - | pass insert -m sealwire/server",
      "the key itself on standard output, for a program that keeps it"
    ]
  ],
  {
    identity: Options.boolean("identity").pipe(
      Options.withDescription(
        "An identity (X25519 key pair) instead of a shared key. Only its public half ever goes to others."
      )
    ),
    fileKey: Options.boolean("file-key").pipe(
      Options.withDescription("A key for files at rest. It opens no channel.")
    ),
    output: Options.text("output").pipe(
      Options.withAlias("o"),
      Options.withPseudoName("KEY"),
      Options.optional,
      Options.withDescription(
        `Where to put it: ${options.writableKeyLocations}; or - for standard output. ` +
          `Default: ${usual.shown}${others.map(({ kind, shown }) => `, for ${KeyText.withArticle(kind)} ${shown}`).join("")}.`
      )
    ),
    key: Options.text("key").pipe(
      Options.withPseudoName("KEY"),
      Options.optional,
      Options.withDescription("The same as --output.")
    ),
    pem: Options.boolean("pem").pipe(
      Options.withDescription("An identity as PEM (PKCS #8), as openssl pkey takes it.")
    ),
    json: options.json
  },
  ({ identity, fileKey, output, key, pem, json }) =>
    Effect.gen(function* () {
      const asked = others.filter(({ name }) => ({ identity, "file-key": fileKey })[name])
      if (asked.length > 1)
        return yield* options.optionError(
          "identity",
          "one key at a time: leave out --identity or --file-key"
        )
      if (Option.isSome(output) && Option.isSome(key))
        return yield* options.optionError("output", "is the same as --key; give one of them")
      const { kind, file, own } = asked[0] ?? usual
      const form = pem ? "pem" : "usual"
      if (pem && kind.pem === undefined)
        return yield* options.optionError(
          "pem",
          `${KeyText.withArticle(kind)} has no PEM form; an identity has`
        )

      const given = Option.getOrUndefined(Option.orElse(output, () => key))
      if (given === "-") return yield* shown(kind, form, json)
      if (own && given === undefined) yield* options.createConfigFolder
      yield* made(kind, form, json).pipe(Effect.provide(KeyStore.layerReference(given ?? file())))
    })
)

const made = (kind: KeyKind<unknown>, form: KeyText.Format, json: boolean) =>
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

const shown = (kind: KeyKind<unknown>, form: KeyText.Format, json: boolean) =>
  Effect.gen(function* () {
    if (json)
      return yield* options.optionError("json", "standard output is for the key; leave --json out")
    yield* Effect.logWarning(`the ${kind.name} goes to standard output: whoever sees it has it`)
    const report = yield* Report
    yield* report.print(
      Buffer.from(KeyText.contentOf(kind, Secret.random(kind.length), form)).toString()
    )
  })
