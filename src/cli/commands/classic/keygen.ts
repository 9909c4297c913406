import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { KeyStore } from "../../../keys/KeyStore.ts"
import * as Flag from "../../arguments/Flag.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const classicKeygen = commandSpec(
  {
    path: ["classic", "keygen"],
    group: "Classic",
    summary: "create a key file for the classic system; never overwrites",
    examples: [
      ["sealwire classic keygen", "create ./aes_key.bin, as the origin's server does"],
      ["sealwire classic keygen --cipher aes-256-gcm -o ./gcm.key", "create a key for AES-256-GCM"]
    ]
  },
  {
    output: Flag.text("output").pipe(
      Flag.withShort("o"),
      Flag.withValue("KEY"),
      Flag.completing("file"),
      Flag.withGuesses("--key"),
      Flag.optional,
      Flag.withDescription(
        `Where to store the key: a path, or ${options.writableKeyForms.join(", ")}.`,
        options.classicKeyFiles
      )
    ),
    cipher: options.cipher,
    json: options.json
  },
  ({ output, cipher, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const store = yield* KeyStore
      yield* store.create(cipher.key)
      yield* report.emit(Event.KeyCreated({ reference: store.reference, kind: cipher.key.name }), {
        json,
        wire: false,
        exact: false
      })
    }).pipe(Effect.provide(KeyStore.layerReference(Option.getOrElse(output, () => cipher.keyFile))))
)
