// The combinations of keys that a client may have: each authenticates the server, and no other is
// accepted, before anything is sent.
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { Secret } from "../../src/bytes/Secret.ts"
import * as Channel from "../../src/channel/Channel.ts"
import { initiatorKeysOf, type CheckServer, type ClientKeys } from "../../src/channel/ClientKeys.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import * as SecureRpc from "../../src/platform/SecureRpc.ts"
import * as SecureSocket from "../../src/platform/SecureSocket.ts"
import * as Server from "../../src/services/Server.ts"
import { dial, type DialKeys } from "../../src/services/Dial.ts"
import { withTimeout } from "../../src/testing/steps.ts"
import { Transport } from "../../src/transports/index.ts"
import {
  alice,
  anyPort,
  clientKeys,
  initiatorKeys,
  keysOf,
  layerFasterClock,
  listenAndRead,
  prologueFields,
  psk,
  recording,
  server,
  serverKeys,
  suiteOf
} from "./rig.ts"

const serverKey = server.publicKey
const zeros = new Secret(new Uint8Array(32))
const accept = () => Effect.succeed(true)

/** Keys of a caller without types. */
const untyped = (keys: object) => ({ ...prologueFields, ...keys }) as ClientKeys

describe("keys", () => {
  it.each(allSuites)("lead to $name", (suite) => {
    expect(initiatorKeysOf(clientKeys(suite)).suite).toBe(suite)
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
  ["a check without an identity", { psk, checkServer: accept }],
  ["a check beside a serverKey", { identity: alice, serverKey, checkServer: accept }],
  ["a check beside a code", { identity: alice, code: psk, checkServer: accept }],
  ["a serverKey beside a code", { identity: alice, code: psk, serverKey }],
  ["a shared key beside a code", { identity: alice, code: psk, psk }],
  ["a serverKey of all zeros", { identity: alice, serverKey: new Uint8Array(32) }],
  ["a shared key of all zeros", { psk: zeros }],
  ["a shared key of all zeros beside a serverKey", { identity: alice, serverKey, psk: zeros }],
  ["a shared key of another length", { psk: Secret.random(31) }]
]

describe("without a check of the server", () => {
  // A server holds each refused client for half a second.
  const memory = Effect.provide(Layer.merge(Transport.layerMemory(), layerFasterClock(10)))
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

const refused = "checkServer refused the server's key"
const noEffect = "checkServer failed: it returned no Effect"
const no = new Error("no")

/** Results of a check; of those that are no boolean, a caller without types returns some. */
const refusals: ReadonlyArray<readonly [name: string, check: () => unknown, reason: string]> = [
  ["false", () => Effect.succeed(false), refused],
  ["no result", () => Effect.void, refused],
  ["null", () => Effect.succeed(null), refused],
  ["a text", () => Effect.succeed("refused"), refused],
  ["1", () => Effect.succeed(1), refused],
  ["Option.none", () => Effect.succeed(Option.none()), refused],
  ["the Either of a failure", () => Effect.either(Effect.fail("no")), refused],
  ["the Exit of a failure", () => Effect.exit(Effect.fail("no")), refused],
  ["an Effect within an Effect", () => Effect.succeed(Effect.fail("no")), refused],
  ["true without an Effect", () => true, noEffect],
  ["nothing", () => undefined, noEffect],
  ["an empty array", () => [], noEffect],
  ["an empty text", () => "", noEffect],
  ["an empty Map", () => new Map(), noEffect],
  ["empty bytes", () => Buffer.alloc(0), noEffect],
  ["a generator", function* () {}, noEffect],
  ["a promise of true", () => Promise.resolve(true), noEffect],
  ["a rejected promise", () => Promise.reject(no), noEffect],
  ["an Effect that dies", () => Effect.die(no), "checkServer failed: no"],
  [
    "an Effect of a rejected promise",
    () => Effect.promise(() => Promise.reject(no)),
    "checkServer failed: no"
  ],
  [
    "an exception",
    () => {
      throw no
    },
    "checkServer failed: no"
  ]
]

/** The types of results that do not compile. */
export const untrue: ReadonlyArray<CheckServer<string>> = [
  () => Effect.succeed(true),
  // @ts-expect-error an Effect of void refuses nothing
  () => Effect.void,
  // @ts-expect-error an Option is not a boolean
  () => Effect.succeed(Option.none()),
  // @ts-expect-error an Either is not a boolean
  () => Effect.either(Effect.fail("no")),
  // @ts-expect-error an array is no Effect
  () => []
]

describe("checkServer", () => {
  it.scopedLive.each(["XX", "XXpsk3"] as const)(
    "%s: whatever is not true refuses the server, before the client's key is sent",
    (name) =>
      Effect.gen(function* () {
        const suite = suiteOf(name)
        const { address } = yield* listenAndRead()
        const transport = yield* Transport
        const attempt = (check: CheckServer) =>
          Effect.gen(function* () {
            const sent: Array<Uint8Array> = []
            const connection = recording(sent)(yield* transport.connect(address))
            const keys = keysOf(initiatorKeys(suite), check)
            const failed = yield* Effect.flip(Effect.scoped(Channel.connect(connection, keys)))
            return [failed._tag, failed.reason, Buffer.concat(sent).length] as const
          })
        const seen = yield* Effect.forEach(
          refusals,
          ([result, check]) => Effect.map(attempt(check as CheckServer), (all) => [result, ...all]),
          { concurrency: "unbounded" }
        )
        const bytes = 8 + 2 + suite.lengths[0]
        expect(seen).toEqual(
          refusals.map(([result, , reason]) => [result, "HandshakeFailed", reason, bytes])
        )
        // A rejection without a handler is reported after the microtasks.
        yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
      }).pipe(Effect.provide(Layer.merge(Transport.layerMemory(), layerFasterClock(10))))
  )
})

describe("a server with a shared key of all zeros", () => {
  const offered = { ...serverKeys, psks: [{ name: "good", secret: psk }, { secret: zeros }] }

  it.scopedLive("does not listen", () =>
    Effect.gen(function* () {
      let listening = false
      const failed = yield* Effect.flip(
        Server.serve({
          address: anyPort,
          keys: offered,
          services: [],
          on: () => Effect.sync(() => (listening = true))
        })
      )
      expect([failed.message, listening]).toEqual([
        "the server's keys cannot be used: a shared key of all zeros is not valid; create a new one",
        false
      ])
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive("refuses every handshake of a suite with a shared key", () =>
    Effect.gen(function* () {
      const { address, outcomes } = yield* listenAndRead(offered)
      const connection = yield* Effect.flatMap(Transport, (transport) => transport.connect(address))
      const channel = yield* Channel.connect(connection, clientKeys(suiteOf("IKpsk2"))).pipe(
        Effect.exit
      )
      expect(Exit.isFailure(channel)).toBe(true)
      expect(outcomes).toMatchObject([
        { _tag: "Refused", reason: "a shared key of all zeros is not valid; create a new one" }
      ])
    }).pipe(Effect.provide(Layer.merge(Transport.layerMemory(), layerFasterClock(10))))
  )
})
