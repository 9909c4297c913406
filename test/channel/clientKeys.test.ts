// The combinations of keys that a client may have: each authenticates the server, and no other is
// accepted, before anything is sent.
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Channel from "../../src/channel/Channel.ts"
import { initiatorKeysOf, type ClientKeys } from "../../src/channel/ClientKeys.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import * as SecureRpc from "../../src/platform/SecureRpc.ts"
import * as SecureSocket from "../../src/platform/SecureSocket.ts"
import { dial, type DialKeys } from "../../src/services/Dial.ts"
import { withTimeout } from "../../src/testing/steps.ts"
import { Transport } from "../../src/transports/index.ts"
import {
  alice,
  anyPort,
  clientKeys,
  initiatorKeys,
  keysOf,
  listenAndRead,
  prologueFields,
  psk,
  recording,
  server,
  suiteOf
} from "./rig.ts"

const serverKey = server.publicKey
const accept = () => Effect.void

/** Keys of a caller without types. */
const untyped = (keys: object) => ({ ...prologueFields, ...keys }) as ClientKeys

describe("keys", () => {
  it.each(allSuites)("lead to $name", (suite) => {
    expect(initiatorKeysOf(clientKeys(suite)).suite).toBe(suite)
  })

  it("a pinned key is used, whatever else a caller without types gives", () => {
    const keys = untyped({ suite: suiteOf("XX"), identity: alice, serverKey, checkServer: accept })
    expect(initiatorKeysOf(keys)).toMatchObject({ suite: suiteOf("IK"), serverKey })
  })
})

const unauthenticated: ReadonlyArray<readonly [name: string, keys: object]> = [
  ["no key", {}],
  ["an identity alone", { identity: alice }],
  ["an identity and a shared key", { identity: alice, psk }],
  ["a serverKey that is undefined", { identity: alice, serverKey: undefined }],
  ["a serverKey of another length", { identity: alice, serverKey: serverKey.subarray(1) }],
  ["a check that is no function", { identity: alice, checkServer: true }],
  ["the suite of an earlier version", { suite: suiteOf("XX"), identity: alice }],
  ["a serverKey without an identity", { psk, serverKey }],
  ["a check without an identity", { psk, checkServer: accept }]
]

describe("without a check of the server", () => {
  const memory = Effect.provide(Transport.layerMemory())
  const isTypeError = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.isFailure(exit) && [...Cause.defects(exit.cause)].every((one) => one instanceof TypeError)

  it.scopedLive.each(unauthenticated)("%s: nothing is sent", ([, given]) =>
    Effect.gen(function* () {
      const keys = untyped(given)
      const { address } = yield* listenAndRead()
      const transport = yield* Transport
      let connected = 0
      const counting = Effect.provideService(Transport, {
        ...transport,
        connect: (...args: Parameters<typeof transport.connect>) => {
          connected++
          return transport.connect(...args)
        }
      })
      const dialed = yield* Effect.exit(
        counting(Effect.scoped(dial({ address, keys: keys as DialKeys }, "")))
      )
      expect([isTypeError(dialed), connected]).toEqual([true, 0])
      const sent: Array<Uint8Array> = []
      const connection = recording(sent)(yield* transport.connect(address))
      const opened = yield* Effect.exit(Effect.scoped(Channel.connect(connection, keys)))
      expect([isTypeError(opened), sent]).toEqual([true, []])
    }).pipe(memory)
  )

  it.scopedLive("the layers of @effect/platform and @effect/rpc are not built", () =>
    Effect.gen(function* () {
      const options = { address: anyPort, keys: untyped({ identity: alice }) as DialKeys }
      const socket = Effect.asVoid(Layer.build(SecureSocket.layer(options)))
      const client = Effect.asVoid(Layer.build(SecureRpc.layerClient(options)))
      for (const build of [socket, Effect.provide(client, RpcSerialization.layerNdjson)]) {
        const exit = yield* withTimeout("the layer", Effect.exit(build))
        expect(isTypeError(exit)).toBe(true)
      }
    }).pipe(memory)
  )
})

describe("checkServer", () => {
  it.scopedLive.each(["XX", "XXpsk3"] as const)(
    "%s: the result false refuses the server, before the client's key is sent",
    (name) =>
      Effect.gen(function* () {
        const suite = suiteOf(name)
        const { address } = yield* listenAndRead()
        const transport = yield* Transport
        const sent: Array<Uint8Array> = []
        const connection = recording(sent)(yield* transport.connect(address))
        // Compiles: an Effect of a boolean is an Effect of void.
        const keys = keysOf(initiatorKeys(suite), () => Effect.succeed(false))
        const failed = yield* Effect.flip(Effect.scoped(Channel.connect(connection, keys)))
        expect(failed).toMatchObject({
          _tag: "HandshakeFailed",
          reason: "checkServer refused the server's key"
        })
        expect(Buffer.concat(sent).length).toBe(8 + 2 + suite.lengths[0])
      }).pipe(Effect.provide(Transport.layerMemory()))
  )
})
