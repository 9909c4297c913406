// The laws of every cipher, and a message of the classic system with this one.
import * as vitest from "@effect/vitest"
import { expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Address, Cipher, Classic, Transport } from "sealwire"
import { cipherLaws, layerFreshKey } from "sealwire/testing"
import { ChaCha20Poly1305, ChaChaKey } from "./ChaCha20Poly1305.ts"

cipherLaws(vitest, ChaCha20Poly1305)

// In a program: Layer.provide(KeyStore.layerFile("./chacha.key")), where KeyStore's
// createIfMissing(ChaChaKey) creates the key.
const cipher = Cipher.layer(ChaCha20Poly1305).pipe(Layer.provide(layerFreshKey(ChaChaKey)))

it.scopedLive("a classic server receives the message of a classic client", () =>
  Effect.gen(function* () {
    const listening = yield* Deferred.make<Address.Address>()
    const received = yield* Deferred.make<string>()
    yield* Effect.forkScoped(
      Classic.serve({
        address: Address.tcp("127.0.0.1", 0),
        once: true,
        onEvent: Classic.ClassicServerEvent.$match({
          Listening: ({ address }) => Effect.asVoid(Deferred.succeed(listening, address)),
          Message: ({ text }) =>
            Effect.asVoid(Deferred.succeed(received, Buffer.from(text).toString())),
          Refused: () => Effect.void
        })
      })
    )
    const address = yield* Deferred.await(listening)
    const { wire } = yield* Classic.send({
      address,
      text: Buffer.from("Hello Server!"),
      anyLength: false
    })
    expect(Buffer.from(wire).includes("Hello")).toBe(false)
    expect(yield* Deferred.await(received)).toBe("Hello Server!")
  }).pipe(Effect.provide(Layer.merge(cipher, Transport.layerNet)))
)
