import * as Flag from "../arguments/Flag.ts"
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
  {
    path: ["pubkey"],
    group: "Keys and peers",
    summary: "show your public key, for others to authorize or pin",
    examples: [
      ["sealwire pubkey", "public key of your identity"],
      ["sealwire pubkey --identity ./server.key", "public key of another identity"],
      ["sealwire pubkey --pem | openssl pkey -pubin -text", "in PEM, for other programs"]
    ]
  },
  {
    identity: options.identity,
    pem: Flag.boolean("pem").pipe(
      Flag.withDescription("Write PEM (SPKI), as for openssl pkey -pubin.")
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
      yield* report.printData(json ? jsonRecord("public-key", shown) : shown.publicKey)
      if (!json) yield* Effect.logInfo(`fingerprint ${shown.fingerprint}`)
    }).pipe(Effect.provide(KeyStore.layerReference(options.identityReference(identity))))
)
