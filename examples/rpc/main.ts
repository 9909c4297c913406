// Rpcs whose handlers know their caller: node --import tsx examples/rpc/main.ts
import { deepStrictEqual, ok as assert } from "node:assert/strict"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  Address,
  KeyPair,
  PeerList,
  PublicKey,
  PeerSessions,
  Transport,
  parseAuthorized,
  ruleOptions,
  suiteNamed
} from "sealwire"
import { Peer, SecureRpc } from "sealwire/platform"

class Calls extends RpcGroup.make(
  Rpc.make("whoAmI", { success: Schema.String }),
  Rpc.make("count", { success: Schema.Number, payload: { to: Schema.Number }, stream: true }),
  Rpc.make("shutDown", { success: Schema.Void })
).middleware(SecureRpc.WithPeer) {}

const handlers = Calls.toLayer({
  // The server's name for the authenticated key; the client has no influence on it.
  whoAmI: () => Effect.map(Peer, ({ name }) => name),
  count: ({ to }) => Stream.range(1, to),
  shutDown: () => Effect.dieMessage("no rules allow this call")
})

const IK = suiteNamed("IK")
const address = Address.unix(`/tmp/sealwire-rpc-${process.pid}.sock`)
// A program would load them from files: KeyStore.load(Identity).
const [server, alice] = [KeyPair.generate(), KeyPair.generate()]
const authorized = `rpc="whoAmI,count" ${PublicKey.encode(alice.publicKey)} alice\n`

const serverLayer = Layer.unwrapEffect(
  Effect.gen(function* () {
    const peers = yield* PeerSessions.make(
      new PeerList(yield* parseAuthorized(ruleOptions())("authorized_peers", authorized))
    )
    return RpcServer.layer(Calls).pipe(
      Layer.provide(handlers),
      Layer.provide(SecureRpc.layerWithPeer),
      Layer.provide(
        SecureRpc.layerServer({
          address,
          keys: { serverName: "", suites: [IK], identities: [server], authorize: peers.authorize },
          peers
        })
      )
    )
  })
)

const clientLayer = SecureRpc.layerClient({
  address,
  keys: { serverName: "", identity: alice, serverKey: server.publicKey }
})

const main = Effect.gen(function* () {
  const client = yield* RpcClient.make(Calls)
  deepStrictEqual(yield* client.whoAmI(), "alice")
  deepStrictEqual(
    Chunk.toReadonlyArray(yield* Stream.runCollect(client.count({ to: 3 }))),
    [1, 2, 3]
  )
  const refused = yield* Effect.either(client.shutDown())
  assert(Either.isLeft(refused) && refused.left._tag === "CallRefused")
  console.log(`alice was recognized, counted to 3, and: ${refused.left.message}`)
}).pipe(Effect.scoped)

await Effect.runPromise(
  main.pipe(
    Effect.provide(Layer.merge(serverLayer, clientLayer)),
    Effect.provide(Layer.merge(RpcSerialization.layerMsgPack, Transport.layerNet))
  )
)
