// Rpcs whose handlers know their caller by its key, independent of the client's headers.
import { it } from "@effect/vitest"
import * as Headers from "@effect/platform/Headers"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import { SocketServer } from "@effect/platform/SocketServer"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect } from "vitest"
import { PeerList } from "../../src/peers/PeerList.ts"
import { rulesOf } from "../peers/rulesOf.ts"
import { Peer } from "../../src/platform/Peer.ts"
import * as SecureRpc from "../../src/platform/SecureRpc.ts"
import * as SecureSocketServer from "../../src/platform/SecureSocketServer.ts"
import { PeerSessions } from "../../src/services/PeerSessions.ts"
import { Transport } from "../../src/transports/index.ts"
import { alice, serverKeys } from "../channel/rig.ts"
import { pause, withTimeout } from "../../src/testing/steps.ts"
import { anywhere, optionsFor } from "./rig.ts"

class Calls extends RpcGroup.make(
  Rpc.make("whoAmI", { success: Schema.String }),
  Rpc.make("headers", { success: Schema.Record({ key: Schema.String, value: Schema.String }) }),
  Rpc.make("size", { success: Schema.Number, payload: { text: Schema.String } }),
  Rpc.make("count", { success: Schema.Number, payload: { to: Schema.Number }, stream: true }),
  Rpc.make("hang", { success: Schema.Void }),
  Rpc.make("secret", { success: Schema.String })
).middleware(SecureRpc.WithPeer) {}

const handlers = Calls.toLayer({
  whoAmI: () => Effect.map(Peer, ({ name, suite }) => `${name} by ${suite}`),
  headers: (_, { headers }) => Effect.succeed(headers),
  size: ({ text }) => Effect.succeed(text.length),
  count: ({ to }) => Stream.range(1, to),
  hang: () => Effect.never,
  secret: () => Effect.succeed("42")
})

/** Serves the calls, until the scope closes. */
const serveCalls = (server: SocketServer["Type"]) =>
  Layer.build(
    RpcServer.layer(Calls).pipe(
      Layer.provide(handlers),
      Layer.provide(SecureRpc.layerWithPeer),
      Layer.provide(SecureRpc.layerProtocol),
      Layer.provide(Layer.succeed(SocketServer, server)),
      Layer.provide(RpcSerialization.layerMsgPack)
    )
  )

/** Starts a server whose list has alice with these rules, and a client with alice's key. */
const connectAlice = (
  rules: { readonly rpcs?: ReadonlyArray<string>; readonly memory?: number } = {}
) =>
  Effect.gen(function* () {
    const listOf = (revoked: boolean) =>
      new PeerList(
        revoked
          ? []
          : [
              {
                publicKey: alice.publicKey,
                name: "alice",
                rules: rulesOf(rules),
                line: 1
              }
            ]
      )
    const peers = yield* PeerSessions.make(listOf(false))
    const server = yield* SecureSocketServer.make({
      address: anywhere,
      keys: { ...serverKeys, authorize: peers.authorize },
      peers
    })
    yield* serveCalls(server)
    const options = optionsFor(server)
    const protocol = yield* Layer.build(
      SecureRpc.layerClient(options).pipe(
        Layer.provide(RpcSerialization.layerMsgPack),
        Layer.provide(Transport.layerNet)
      )
    )
    const client = yield* RpcClient.make(Calls).pipe(
      Effect.provideService(RpcClient.Protocol, Context.get(protocol, RpcClient.Protocol))
    )
    return { client, peers, revoke: () => peers.replace(listOf(true)) }
  })

const live = Effect.provide(Transport.layerNet)

describe("an rpc", () => {
  it.scopedLive("knows its caller and ignores the client's own headers", () =>
    Effect.gen(function* () {
      const { client } = yield* connectAlice()
      expect(yield* withTimeout("the name", client.whoAmI())).toBe("alice by IK")
      const forged = Headers.fromInput({
        "x-peer-name": "root",
        "X-Peer-Session": "1",
        "x-trace": "kept"
      })
      const seen = yield* withTimeout("the headers", client.headers(undefined, { headers: forged }))
      expect(seen).toMatchObject({ "x-peer-name": "alice", "x-trace": "kept" })
      expect(seen["x-peer-session"]).not.toBe("1")
      expect(yield* withTimeout("the name", client.whoAmI(undefined, { headers: forged }))).toBe(
        "alice by IK"
      )
    }).pipe(live)
  )

  it.scopedLive("carries a megabyte, a stream, and a hundred concurrent calls", () =>
    Effect.gen(function* () {
      const { client } = yield* connectAlice()
      expect(
        yield* withTimeout("the megabyte", client.size({ text: "x".repeat(1024 * 1024) }))
      ).toBe(1024 * 1024)
      const numbers = yield* withTimeout(
        "the stream",
        Stream.runCollect(client.count({ to: 1000 }))
      )
      expect(Chunk.toReadonlyArray(numbers)).toEqual([...Array(1000).keys()].map((one) => one + 1))
      const sizes = yield* withTimeout(
        "all of them",
        Effect.forEach(
          [...Array(100).keys()],
          (length) => client.size({ text: "x".repeat(length) }),
          {
            concurrency: "unbounded"
          }
        )
      )
      expect(sizes).toEqual([...Array(100).keys()])
    }).pipe(live)
  )

  it.scopedLive("holds memory of its peer while it arrives and while its handler runs", () =>
    Effect.gen(function* () {
      const closed = yield* connectAlice({ memory: 64 * 1024 })
      expect(yield* withTimeout("a short one", closed.client.size({ text: "ab" }))).toBe(2)
      // The session ends, and the calls in progress with it.
      yield* withTimeout(
        "the end",
        Effect.flip(Effect.sandbox(closed.client.size({ text: "x".repeat(512 * 1024) })))
      )
      const calls = yield* connectAlice({ memory: 64 * 1024 })
      const hung = Effect.exit(calls.client.hang())
      const all = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 16 }, () => hung),
          { concurrency: "unbounded" }
        )
      )
      yield* withTimeout("the end of all", all)
    }).pipe(live)
  )

  it.scopedLive("that is interrupted gives its memory back", () =>
    Effect.gen(function* () {
      const { client } = yield* connectAlice({ memory: 64 * 1024 })
      for (let round = 0; round < 40; round++)
        yield* Effect.timeoutOption(client.hang(), "10 millis")
      expect(yield* withTimeout("another", client.size({ text: "ab" }))).toBe(2)
    }).pipe(live)
  )

  it.scopedLive("is refused with a typed error if the rules of the peer do not allow it", () =>
    Effect.gen(function* () {
      const { client } = yield* connectAlice({ rpcs: ["who*", "size"] })
      expect(yield* withTimeout("the name", client.whoAmI())).toBe("alice by IK")
      expect(yield* withTimeout("the size", client.size({ text: "ab" }))).toBe(2)
      expect(yield* withTimeout("the refusal", Effect.flip(client.secret()))).toMatchObject({
        _tag: "CallRefused",
        rpc: "secret"
      })
    }).pipe(live)
  )

  it.scopedLive("of a removed peer ends", () =>
    Effect.gen(function* () {
      const { client, revoke } = yield* connectAlice()
      expect(yield* withTimeout("the name", client.whoAmI())).toBe("alice by IK")
      expect(revoke()).toBe(1)
      const after = yield* withTimeout("the end", Effect.exit(client.whoAmI()))
      expect(Exit.isFailure(after)).toBe(true)
    }).pipe(live)
  )
})

it.scopedLive("the client reconnects when the server is restarted", () =>
  Effect.gen(function* () {
    const first = yield* Scope.make()
    const serving = (address: SecureSocketServer.Options["address"], scope: Scope.Scope) =>
      Effect.gen(function* () {
        const server = yield* SecureSocketServer.make({ address, keys: serverKeys })
        yield* serveCalls(server)
        return optionsFor(server)
      }).pipe(Scope.extend(scope))
    const options = yield* serving(anywhere, first)
    const protocol = yield* Layer.build(
      SecureRpc.layerClient(options).pipe(
        Layer.provide(RpcSerialization.layerMsgPack),
        Layer.provide(Transport.layerNet)
      )
    )
    const client = yield* RpcClient.make(Calls).pipe(
      Effect.provideService(RpcClient.Protocol, Context.get(protocol, RpcClient.Protocol))
    )
    expect(yield* withTimeout("the name", client.whoAmI())).toBe("alice by IK")
    yield* withTimeout("the end", Scope.close(first, Exit.void))
    yield* serving(options.address, yield* Effect.scope)
    const again = Effect.repeat(Effect.zipLeft(Effect.exit(client.whoAmI()), pause(50)), {
      until: Exit.isSuccess
    })
    expect(yield* withTimeout("the name again", again)).toEqual(Exit.succeed("alice by IK"))
  }).pipe(live)
)
