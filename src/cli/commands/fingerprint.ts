import * as Operand from "../arguments/Operand.ts"
import * as Flag from "../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { KeyRejected } from "../../keys/KeyErrors.ts"
import { Identity } from "../../keys/KeyKind.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { jsonRecord } from "../output/events/index.ts"

export const fingerprint = commandSpec(
  {
    path: ["fingerprint"],
    group: "Keys and peers",
    summary: "show the fingerprint of a public key, for comparison",
    examples: [
      ["sealwire fingerprint", "fingerprint of your identity"],
      [
        "sealwire fingerprint sealwire1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5z5tpwxqergd3c8g7rusqjaylze",
        "fingerprint of a public key"
      ],
      ["sealwire fingerprint --words", "six words to read aloud, for example by phone"]
    ]
  },
  {
    key: Operand.text("KEY").pipe(
      Operand.optional,
      Operand.withDescription(
        `Public key (sealwire1…), or an identity, as for --identity. Default: ${options.shownIdentityFile}.`
      )
    ),
    words: Flag.boolean("words").pipe(
      Flag.withDescription("Show six words, 66 of the 256 bits. Both sides must compare words.")
    ),
    json: options.json
  },
  ({ key, words, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const publicKey = yield* publicKeyOf(Option.getOrElse(key, options.identityFile))
      const shown = {
        publicKey: PublicKey.encode(publicKey),
        fingerprint: PublicKey.fingerprint(publicKey),
        words: (yield* Effect.promise(() => PublicKey.words(publicKey))).join(" ")
      }
      yield* report.printData(
        json ? jsonRecord("key-fingerprint", shown) : words ? shown.words : shown.fingerprint
      )
    })
)

const publicKeyOf = (reference: string) =>
  Effect.gen(function* () {
    const publicKey = PublicKey.decode(reference)
    if (publicKey !== undefined) return publicKey
    if (PublicKey.looksLike(reference))
      return yield* new KeyRejected({
        reference,
        reason: "damaged",
        detail: "the checksum of this public key is wrong; a character was lost or changed"
      })
    const store = yield* KeyStore
    return (yield* store.load(Identity)).publicKey
  }).pipe(Effect.provide(KeyStore.layerReference(reference)))
