// The messages of library errors repeat nothing that may be a secret, without the command around.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"
import * as EncryptedInput from "../../src/files/Input.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KnownPeers from "../../src/peers/KnownPeers.ts"
import { parseAuthorized, parseKnown } from "../../src/peers/Peers.ts"
import { ruleOptions } from "../../src/services/builtin/index.ts"
import * as Address from "../../src/transports/Address.ts"
import { secretForms } from "../fixtures/secrets.ts"

const store = (layer: typeof KeyStore.layerFile extends (path: string) => infer A ? A : never) =>
  Effect.flatMap(KeyStore, (keys) => keys.load(SharedKey)).pipe(Effect.provide(layer))

/** Each fails for the text. */
const uses: Readonly<Record<string, (text: string) => Effect.Effect<unknown, Error>>> = {
  "a key file": (text) => store(KeyStore.layerFile(text)),
  "a reference": (text) => store(KeyStore.layerReference(text)),
  "a variable": (text) => store(KeyStore.layerEnv(text)),
  "a credential": (text) => store(KeyStore.layerCredential(text)),
  "a new key": (text) =>
    Effect.flatMap(KeyStore, (keys) => keys.create(SharedKey)).pipe(
      Effect.provide(KeyStore.layerFile(`/nonexistent/${text}`))
    ),
  // Base64 that begins with a slash is the path of a socket.
  "an address": (text) => Address.parse(text.replace(/^\//, "A")),
  "an input file": (text) => Effect.scoped(EncryptedInput.fromFile(`/nonexistent/${text}`)),
  "a known peer": (text) => KnownPeers.lookUp("/nonexistent", { address: "x:1", peer: text }),
  authorized_peers: (text) => parseAuthorized(ruleOptions())("peers", text),
  known_peers: (text) => parseKnown("peers", `x:1 ${text} alice`)
}

describe("a secret in the place of", () => {
  it.for(Object.entries(uses))("%s is not in the error", async ([, use]) => {
    for (const [name, make] of Object.entries(secretForms)) {
      // In a path, a few words are like any others.
      if (name.startsWith("a passphrase of words")) continue
      const secret = await make()
      const exit = await Effect.runPromise(Effect.either(use(secret)))
      if (Either.isRight(exit)) throw new Error(`accepted: ${name}`)
      const shown = `${exit.left.message} ${String(exit.left)} ${Cause.pretty(Cause.fail(exit.left))}`
      // Errors name lines: a PEM is several.
      for (const line of secret.split("\n"))
        if (line.length >= 20 && !line.startsWith("-----") && !line.startsWith("#"))
          expect([name, shown.includes(line.slice(4, 16))]).toEqual([name, false])
    }
  })
})
