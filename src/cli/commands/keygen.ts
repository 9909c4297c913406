import * as HelpDoc from "@effect/cli/HelpDoc"
import { quoted } from "../../bytes/excerpt.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Operand from "../arguments/Operand.ts"
import { exitCode } from "../output/ExitCode.ts"
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

/** The kinds of keys by their names as an argument, the default first. */
const kinds = {
  "shared-key": {
    kind: SharedKey,
    file: () => options.sharedKeyFile,
    shown: options.sharedKeyFile
  },
  identity: { kind: Identity, file: options.identityFile, shown: options.shownIdentityFile },
  "file-key": { kind: FileKey, file: () => options.fileKeyFile, shown: options.fileKeyFile }
} as const

type Name = keyof typeof kinds

const isName = (text: string): text is Name => Object.hasOwn(kinds, text)

const defaultName = "shared-key"

export const keygen = commandSpec(
  {
    path: ["keygen"],
    group: "Keys and peers",
    summary: "create an identity, a shared key or a file key",
    about: "Never overwrites a key.",
    examples: [
      ["sealwire keygen identity", "create your identity; sealwire pubkey shows its public key"],
      ["sealwire keygen", `create ${options.sharedKeyFile}; copy it to the other side securely`],
      ["sealwire keygen file-key -o ./backup.key", "create a key for encrypting files"],
      [
        "sealwire keygen -o - | pass insert -m sealwire/server",
        "write the key to standard output, for a password manager"
      ]
    ],
    exits: [exitCode.key]
  },
  {
    name: Operand.text("KIND").pipe(
      Operand.withChoices(Object.keys(kinds)),
      Operand.mapEffect((text) =>
        isName(text)
          ? Effect.succeed(text)
          : Effect.fail(HelpDoc.p(`${quoted(text)} is not one of ${Object.keys(kinds).join(", ")}`))
      ),
      Operand.optional,
      Operand.withDescription(
        "identity (a key pair; others get only its public key), shared-key (one secret for both sides) or file-key (for encrypt and decrypt). Default: shared-key."
      )
    ),
    output: Flag.text("output").pipe(
      Flag.withShort("o"),
      Flag.withValue("KEY"),
      Flag.completing("file"),
      Flag.withGuesses("--key"),
      Flag.optional,
      Flag.withDescription(
        `Where to store the key: a path, ${options.writableKeyForms.join(", ")}, or - for standard output.`,
        Object.entries(kinds)
          .map(([name, { shown }]) => `${shown} (${name})`)
          .join(", ")
      )
    ),
    pem: Flag.boolean("pem").pipe(
      Flag.withDescription("Write the identity as PEM (PKCS #8), as for openssl pkey.")
    ),
    json: options.json
  },
  ({ name, output, pem, json }) =>
    Effect.gen(function* () {
      const { kind, file } = kinds[Option.getOrElse(name, (): Name => defaultName)]
      const form = pem ? "pem" : "usual"
      if (pem && kind.pem === undefined)
        return yield* options.optionError(
          "pem",
          `${KeyText.withArticle(kind)} has no PEM form; only an identity has`
        )
      const reference = Option.getOrUndefined(output)
      if (reference === "-") return yield* printKey(kind, form, json)
      if (kind === Identity && reference === undefined) yield* options.createConfigFolder
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
