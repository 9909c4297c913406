import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Identity, SharedKey } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import { entry } from "../Entry.ts"
import * as options from "../options.ts"
import { Report } from "../Report.ts"
import { Event } from "../words.ts"

export const keygen = entry(
  ["keygen"],
  "make a shared key or an identity; never over an old one",
  [
    ["sealwire keygen", `makes ${options.sharedKeyFile}, to be copied to the other side`],
    ["sealwire keygen --identity", "makes this user's identity; sealwire pubkey shows its public half"]
  ],
  {
    identity: Options.boolean("identity").pipe(
      Options.withDescription("An identity (X25519 key pair) instead of a shared key. Only its public half ever goes to others.")
    ),
    key: Options.text("key").pipe(
      Options.withPseudoName("FILE"),
      Options.optional,
      Options.withDescription(
        `The file to make. Default: ${options.sharedKeyFile}; for an identity ${options.shownIdentityFile}.`
      )
    ),
    json: options.json
  },
  ({ identity, key, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const kind = identity ? Identity : SharedKey
      if (identity && Option.isNone(key)) yield* options.makeConfigFolder
      const store = yield* KeyStore
      yield* store.create(kind)
      yield* report.tell(Event.KeyMade({ reference: store.reference, kind: kind.name }), { json, wire: false, exact: false })
    }).pipe(
      Effect.provide(
        KeyStore.layerReference(Option.getOrElse(key, () => (identity ? options.identityFile() : options.sharedKeyFile)))
      )
    )
)
