import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { Identity } from "../../keys/KeyKind.ts"
import { encodePublicPem } from "../../keys/KeyPair.ts"
import { KeyStore } from "../../keys/KeyStore.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { commandSpec } from "../arguments/CommandSpec.ts"
import * as options from "../arguments/options.ts"
import { Report } from "../output/Report.ts"
import { jsonRecord } from "../output/events/index.ts"

export const pubkey = commandSpec(
  ["pubkey"],
  "show the public half of an identity, for others to know it by",
  [
    ["sealwire pubkey", "of this user's identity"],
    ["sealwire pubkey --identity ./server.key", "of another"],
    ["sealwire pubkey --pem | openssl pkey -pubin -text", "for programs that take PEM"]
  ],
  {
    identity: options.identity,
    pem: Options.boolean("pem").pipe(
      Options.withDescription("As PEM (SPKI), as openssl pkey -pubin takes it.")
    ),
    json: options.json
  },
  ({ identity, pem, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const store = yield* KeyStore
      const { publicKey } = yield* store.load(Identity)
      const shown = {
        publicKey: pem ? encodePublicPem(publicKey) : PublicKey.encode(publicKey),
        fingerprint: PublicKey.fingerprint(publicKey)
      }
      yield* report.print(json ? jsonRecord("public-key", shown) : shown.publicKey)
      if (!json) yield* Effect.logInfo(`fingerprint ${shown.fingerprint}`)
    }).pipe(Effect.provide(KeyStore.layerReference(options.identityReference(identity))))
)
