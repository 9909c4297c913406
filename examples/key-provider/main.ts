// A server and a client that load their shared key from a KMS: node --import tsx
// examples/key-provider/main.ts
import { deepStrictEqual } from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import {
  Address,
  Credentials,
  MessageClient,
  KeyText,
  MessageService,
  Secret,
  Server,
  SharedKey,
  Transport
} from "sealwire"
import { fakeKms } from "./fakeKms.ts"
import * as Kms from "./Kms.ts"

/** Prints what it receives. */
const ServerLive = Server.layer({
  address: Address.tcp("127.0.0.1", 0),
  keys: Server.sharedKey,
  services: [
    MessageService.service((messages) =>
      Effect.sync(() => {
        for (const { text } of messages) console.log(`received: ${Buffer.from(text).toString()}`)
      })
    )
  ]
})

const send = (text: string) =>
  Effect.gen(function* () {
    const { address } = yield* Server.Server
    const client = yield* MessageClient.connect({ address, keys: Credentials.sharedKey })
    yield* client.send([Buffer.from(text)])
  }).pipe(Effect.scoped)

const main = Effect.gen(function* () {
  const { url, token, wrap, requestCount } = yield* fakeKms
  // Done once by an administrator, who stores the wrapped key.
  const wrapped = wrap(KeyText.encode(SharedKey, Secret.random(SharedKey.length)))
  const kms = Kms.layer({ url, token: Redacted.make(token), wrapped })

  yield* send("Hello Server!").pipe(Effect.provide(ServerLive), Effect.provide(kms))
  deepStrictEqual(requestCount(), 2)
  console.log("handled: both sides have loaded the key from the KMS")

  const unauthorized = Kms.layer({ url, token: Redacted.make("another token"), wrapped })
  const refused = yield* Effect.flip(Effect.provide(Credentials.sharedKey, unauthorized))
  deepStrictEqual(refused._tag, "KeyUnavailable")
  console.log(refused.message)
}).pipe(Effect.scoped, Effect.provide(Transport.layerNet))

await Effect.runPromise(main)
