// A server and a client that load their shared key from a KMS: node --import tsx
// examples/key-provider/main.ts
import { deepStrictEqual } from "node:assert/strict"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import {
  Address,
  MessageClient,
  KeyStore,
  KeyText,
  MessageService,
  Secret,
  Server,
  SharedKey,
  Transport,
  suiteNamed
} from "sealwire"
import { fakeKms } from "./fakeKms.ts"
import * as Kms from "./Kms.ts"

const NNpsk0 = suiteNamed("NNpsk0")
const sharedKey = Effect.flatMap(KeyStore, (store) => store.load(SharedKey))

const serve = Effect.gen(function* () {
  const secret = yield* sharedKey
  const listening = yield* Deferred.make<Address.Address>()
  const received = yield* Deferred.make<string>()
  yield* Effect.forkScoped(
    Server.serve({
      address: Address.tcp("127.0.0.1", 0),
      keys: {
        serverName: "",
        suites: [NNpsk0],
        psks: [{ secret }],
        authorize: () => "this server accepts no public keys"
      },
      services: [
        MessageService.service(([message]) =>
          Effect.asVoid(Deferred.succeed(received, Buffer.from(message?.text ?? []).toString()))
        )
      ],
      on: (event) =>
        event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
    })
  )
  return { address: yield* Deferred.await(listening), received: Deferred.await(received) }
})

const send = (address: Address.Address, text: string) =>
  Effect.gen(function* () {
    const psk = yield* sharedKey
    const client = yield* MessageClient.connect({
      address,
      keys: { serverName: "", psk }
    })
    yield* client.send([Buffer.from(text)])
  }).pipe(Effect.scoped)

const main = Effect.gen(function* () {
  const { url, token, wrap, requestCount } = yield* fakeKms
  // Done once by an administrator, who stores the wrapped key.
  const wrapped = wrap(KeyText.encode(SharedKey, Secret.random(SharedKey.length)))
  const kms = Kms.layer({ url, token: Redacted.make(token), wrapped })

  const { address, received } = yield* Effect.provide(serve, kms)
  yield* Effect.provide(send(address, "Hello Server!"), kms)
  deepStrictEqual([yield* received, requestCount()], ["Hello Server!", 2])
  console.log("handled: both sides have loaded the key from the KMS")

  const unauthorized = Kms.layer({ url, token: Redacted.make("another token"), wrapped })
  const refused = yield* Effect.flip(Effect.provide(sharedKey, unauthorized))
  deepStrictEqual(refused._tag, "KeyUnavailable")
  console.log(refused.message)
}).pipe(Effect.scoped, Effect.provide(Transport.layerNet))

await Effect.runPromise(main)
