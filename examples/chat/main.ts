// Two clients of a chat service, one with a rule of its own: node --import tsx
// examples/chat/main.ts
import { deepStrictEqual } from "node:assert/strict"
import * as Effect from "effect/Effect"
import {
  Address,
  KeyPair,
  parseAuthorized,
  PeerList,
  PeerSessions,
  PublicKey,
  ruleOptions,
  Server,
  Transport
} from "sealwire"
import { chat, join, service } from "./Chat.ts"

const address = Address.unix(`/tmp/sealwire-chat-${process.pid}.sock`)
// Or from files: KeyStore.load(Identity).
const [server, alice, bob] = [KeyPair.generate(), KeyPair.generate(), KeyPair.generate()]
const authorized =
  `services="chat" ${PublicKey.encode(alice.publicKey)} alice\n` +
  `services="chat",lines-per-minute="1" ${PublicKey.encode(bob.publicKey)} bob\n`

const as = (identity: KeyPair.KeyPair) => ({
  address,
  keys: { identity, serverKey: server.publicKey }
})

const main = Effect.gen(function* () {
  // A peers file may have the option of the chat service, because its parser knows the service.
  const parse = parseAuthorized(ruleOptions(chat))
  const peers = yield* PeerSessions.make(new PeerList(yield* parse("authorized_peers", authorized)))
  yield* Server.listen({
    address,
    keys: { identities: [server], authorize: peers.authorize },
    peers,
    services: [service()]
  })

  const one = yield* join(as(alice), "lounge")
  const other = yield* join(as(bob), "lounge")
  deepStrictEqual(yield* one.next, "welcome to lounge, alice")
  deepStrictEqual(yield* other.next, "welcome to lounge, bob")
  yield* one.say("good morning")
  const heard = yield* other.next
  deepStrictEqual(heard, "alice: good morning")
  yield* other.say("hello")
  deepStrictEqual(yield* one.next, "bob: hello")
  // The second line of the minute: his rules allow one.
  yield* other.say("hello again")
  const refused = yield* Effect.flip(other.next)
  deepStrictEqual(refused._tag, "ChannelRefused")
  console.log(`bob heard "${heard}", and his second line: ${refused.message}`)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(main, Transport.layerNet))
