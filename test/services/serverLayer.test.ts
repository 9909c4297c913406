// A server as a layer: it is ready or has failed when it is built, its keys come from any KeyStore,
// and the errors and requirements of the program's own functions reach the program.
import { writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { describe, expect, expectTypeOf } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import type { Verdict } from "../../src/channel/HandshakeKeys.ts"
import { suiteNamed, type SuiteName } from "../../src/channel/Suite.ts"
import { KeyUnavailable } from "../../src/keys/KeyErrors.ts"
import { Identity, SharedKey } from "../../src/keys/KeyKind.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import { KeyStore } from "../../src/keys/KeyStore.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import * as Credentials from "../../src/services/Credentials.ts"
import { dial } from "../../src/services/Dial.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import type { Service } from "../../src/services/Service.ts"
import { waitUntil, withTimeout } from "../../src/testing/steps.ts"
import { Transport } from "../../src/transports/index.ts"
import { anyPort, dialKeys, psk, serverKeys, suiteOf } from "../channel/rig.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const memory = Effect.provide(Transport.layerMemory())
const text = (message: string) => [Buffer.from(message)]
const folder = sharedFolder()

/** The messages of this test: what a handler requires. */
class Received extends Context.Tag("test/Received")<Received, Array<string>>() {}
class StoreFull extends Data.TaggedError("StoreFull")<{ readonly message: string }> {}

const receiving = MessageService.service((messages) =>
  Effect.map(Received, (all) => {
    for (const one of messages) all.push(Buffer.from(one.text).toString())
  })
)

const keyText = KeyText.encode(SharedKey, Secret.random(32))
const file = path.join(folder, "shared.key")
writeFileSync(file, keyText, { mode: 0o600 })
process.env.SEALWIRE_TEST_LAYER_KEY = keyText

/** A KMS that answers after a while. */
const vault = KeyStore.layerLocation({
  reference: "vault:shared",
  read: () => Effect.delay(Effect.succeed(Buffer.from(keyText)), 1),
  write: "the vault is read-only"
})

const stores: ReadonlyArray<readonly [name: string, store: Layer.Layer<KeyStore, unknown>]> = [
  ["a file", KeyStore.layerFile(file)],
  ["an environment variable", KeyStore.layerEnv("SEALWIRE_TEST_LAYER_KEY")],
  ["a command", KeyStore.layerExec(`cat '${file}'`)],
  ["a vault", vault],
  ["memory", KeyStore.layerMemory(keyText)],
  ["memory, redacted", KeyStore.layerMemory(Redacted.make(keyText))],
  [
    "configuration",
    Layer.provide(
      KeyStore.layerConfig(Config.redacted("KEY")),
      Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["KEY", keyText]])))
    )
  ],
  [
    "one store of several",
    KeyStore.layerByKind({
      identity: KeyStore.layerMemory(),
      sharedKey: KeyStore.layerFile(file)
    })
  ]
]

describe("one program over each key provider", () => {
  const ServerLive = Server.layer({
    address: anyPort,
    keys: Server.sharedKey,
    services: [receiving]
  })
  const program = Effect.gen(function* () {
    const { address, sessions } = yield* Server.Server
    const client = Layer.build(MessageClient.layer({ address, keys: Credentials.sharedKey }))
    const { send } = Context.get(yield* client, MessageClient.MessageClient)
    yield* send(text("hello"))
    expect((yield* sessions).map(({ service }) => service)).toEqual(["message"])
    return yield* Received
  })

  it.scopedLive.each(stores)("%s", ([, store]) =>
    Effect.gen(function* () {
      const received = yield* program.pipe(
        Effect.provide(ServerLive),
        Effect.provide(store),
        Effect.provideService(Received, [])
      )
      expect(received).toEqual(["hello"])
    }).pipe(memory)
  )

  it.scopedLive("a key store without the key fails the layer", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(
        Layer.build(ServerLive).pipe(
          Effect.provide(KeyStore.layerFile(path.join(folder, "none"))),
          Effect.provideService(Received, [])
        )
      )
      expect(failed._tag).toBe("KeyFileMissing")
    }).pipe(memory)
  )
})

describe("a key store by kind", () => {
  const store = KeyStore.layerByKind({ sharedKey: KeyStore.layerMemory(keyText) })

  it.effect("fails for a kind that it has not", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(
        Effect.flatMap(KeyStore, (one) => one.load(Identity)).pipe(Effect.provide(store))
      )
      expect(failed.message).toBe(
        'no key from memory: no key store is given for the kind "identity"; add one to layerByKind'
      )
    })
  )
})

describe("a key location of the program", () => {
  const leaking = () => {
    throw new RangeError(keyText)
  }
  it.effect.each([
    ["throws", leaking, "its provider threw RangeError"],
    ["dies", () => Effect.die(keyText), "its provider threw string"],
    ["gives a string", () => Effect.succeed(keyText as never), "its provider gave no bytes"]
  ] as const)("that %s is KeyUnavailable, and its text stays secret", ([, read, reason]) =>
    Effect.gen(function* () {
      const store = KeyStore.layerLocation({ reference: "mine", read, write: "no" })
      const failed = yield* Effect.flip(
        Effect.flatMap(KeyStore, (one) => one.load(SharedKey)).pipe(Effect.provide(store))
      )
      expect(failed).toBeInstanceOf(KeyUnavailable)
      expect(failed.message).toContain(reason)
      expect(failed.message).not.toContain(keyText)
    })
  )
})

describe("a server that cannot listen", () => {
  it.scopedLive("fails with PortInUse, as a layer and as an effect", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.listen({
        address: anyPort,
        keys: serverKeys,
        services: []
      })
      const options = { address, keys: serverKeys, services: [] }
      const tags = yield* Effect.all([
        Effect.flip(Server.listen(options)),
        Effect.flip(Layer.build(Server.layer(options))),
        Effect.flip(Server.serve(options))
      ])
      expect(tags.map(({ _tag }) => _tag)).toEqual(["PortInUse", "PortInUse", "PortInUse"])
    }).pipe(Effect.provide(Transport.layerNet))
  )

  const identities = [generate()]
  const psks = [{ secret: psk }]
  const named = (...names: ReadonlyArray<SuiteName>) => names.map(suiteNamed)
  it.scopedLive.each<readonly [Server.Keys, string]>([
    [{}, "there are none; give psks, identities, or both"],
    [{ psks, suites: [] }, "no suite is accepted; leave suites out, or name one"],
    [{ psks, suites: named("NNpsk0", "IK") }, "suite IK needs an identity"],
    [{ identities, suites: named("IKpsk2") }, "suite IKpsk2 needs a shared key"],
    [{ psks: [{ secret: new Secret(Buffer.alloc(31, 1)) }] }, "a shared key must have 32 bytes"],
    [
      { psks: [...psks, { secret: new Secret(Buffer.alloc(32)) }] },
      "a shared key of all zeros is not valid; create a new one"
    ],
    [{ psks: Array.from({ length: 9 }, () => ({ secret: psk })) }, "9 shared keys; the limit is 8"],
    [{ identities: Array.from({ length: 5 }, generate) }, "5 identities; the limit is 4"]
  ])("fails with ServerKeysInvalid: %o", ([keys, detail]) =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(Server.listen({ address: anyPort, keys, services: [] }))
      expect([failed._tag, failed.message]).toEqual([
        "ServerKeysInvalid",
        `the server's keys cannot be used: ${detail}`
      ])
    }).pipe(memory)
  )

  it.scopedLive.each([
    [{ psks }, ["NNpsk0"]],
    [{ identities }, ["IK", "XX"]],
    [{ psks, identities }, ["IKpsk2", "XXpsk3"]]
  ] as const)("accepts the suites that need each of its keys", ([keys, names]) =>
    Effect.gen(function* () {
      const alice = generate()
      const { address } = yield* Server.listen({
        address: anyPort,
        keys: { ...keys, authorize: () => ({ name: "alice" }) },
        services: [receiving]
      })
      const serverKey = identities[0]?.publicKey ?? Buffer.alloc(0)
      const shared = "psks" in keys ? { psk } : {}
      const both =
        "identities" in keys
          ? [
              { identity: alice, serverKey, ...shared },
              { identity: alice, checkServer: () => Effect.succeed(true), ...shared }
            ]
          : [{ psk }]
      const seen = yield* Effect.forEach(both, (one) =>
        Effect.map(dial({ address, keys: one }, "message"), ({ suite }) => suite)
      )
      expect(seen).toEqual(names)
    }).pipe(memory, Effect.provideService(Received, []))
  )
})

describe("the functions of the program", () => {
  it("have their errors and requirements in the type of the server", () => {
    const storing = MessageService.service(() =>
      Effect.flatMap(Received, () => new StoreFull({ message: "full" }))
    )
    expectTypeOf<Service.Error<typeof storing>>().toEqualTypeOf<
      MessageService.MessageRefused | StoreFull
    >()
    const server = Server.listen({
      address: anyPort,
      keys: Server.sharedKey,
      services: [storing],
      on: (event) =>
        event._tag === "SessionEnded" && event.error?._tag === "StoreFull"
          ? Effect.log(event.error.message)
          : Effect.void
    })
    expectTypeOf<Effect.Effect.Context<typeof server>>().toExtend<
      Received | KeyStore | Transport | import("effect/Scope").Scope
    >()
    expectTypeOf<Received>().toExtend<Effect.Effect.Context<typeof server>>()
  })

  /** Sends a message to a server with this service; returns the client's error and the end. */
  const endOf = <E extends { readonly _tag: string; readonly message: string }>(
    service: Service<E>
  ) =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<Server.ServerEvent>()
      const { address } = yield* Server.listen({
        address: anyPort,
        keys: serverKeys,
        services: [service],
        on: (event) =>
          event._tag === "SessionEnded" ? Deferred.succeed(ended, event) : Effect.void
      })
      const failed = yield* Effect.flip(
        Effect.scoped(
          Effect.flatMap(
            MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) }),
            ({ send }) => send(text("a message"))
          )
        )
      )
      return { failed, ended: yield* withTimeout("the end", Deferred.await(ended)) }
    }).pipe(memory)

  it.scopedLive("an error of a handler ends the session, and the client may send again", () =>
    Effect.gen(function* () {
      const { failed, ended } = yield* endOf(
        MessageService.service(() => new StoreFull({ message: "the store is full" }))
      )
      expect(failed).toMatchObject({ _tag: "NotTaken", status: "later", handled: 0 })
      expect(ended).toMatchObject({ error: { _tag: "StoreFull", message: "the store is full" } })
    })
  )

  it.scopedLive("a defect of a handler is told as the end of its session", () =>
    Effect.gen(function* () {
      const { ended } = yield* endOf(MessageService.service(() => Effect.die("on purpose")))
      expect(ended).toMatchObject({ error: { _tag: "SessionDied", defect: "on purpose" } })
    })
  )

  it.scoped("a session that is interrupted at the drain deadline has an end, too", () =>
    Effect.gen(function* () {
      const events: Array<Server.ServerEvent> = []
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        Server.serve({
          address: { _tag: "Tcp", host: "127.0.0.1", port: 7001 },
          keys: serverKeys,
          services: [{ name: "message", run: () => Effect.never }],
          on: (event) => {
            events.push(event)
            return event._tag === "SessionStarted"
              ? Deferred.succeed(started, undefined)
              : Effect.void
          }
        })
      )
      yield* waitUntil("the listener", () => events.length === 1)
      const channel = yield* Effect.fork(
        Effect.scoped(
          Effect.zipRight(
            dial(
              {
                address: { _tag: "Tcp", host: "127.0.0.1", port: 7001 },
                keys: dialKeys(suiteOf("IK"))
              },
              "message"
            ),
            Effect.never
          )
        )
      )
      yield* withTimeout("the session", Deferred.await(started))
      const stopped = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* waitUntil("the drain", () => events.length === 3)
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(stopped)
      yield* Fiber.interrupt(channel)
      expect(events.map(({ _tag }) => _tag)).toEqual([
        "Listening",
        "SessionStarted",
        "Stopping",
        "SessionEnded"
      ])
      expect(events.at(-1)).toMatchObject({ error: { _tag: "SessionInterrupted" } })
    }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive("events reach each reader of the stream", () =>
    Effect.gen(function* () {
      const { address, events } = yield* Server.listen({
        address: anyPort,
        keys: serverKeys,
        services: [receiving]
      })
      const readers = yield* Effect.forEach([1, 2], () =>
        Effect.fork(Stream.runCollect(Stream.take(events, 2)))
      )
      yield* Effect.sleep(10)
      yield* Effect.scoped(
        Effect.flatMap(
          MessageClient.connect({ address, keys: dialKeys(suiteOf("IK")) }),
          ({ send }) => send(text("hello"))
        )
      )
      for (const reader of readers) {
        const seen = [...(yield* withTimeout("a reader", Fiber.join(reader)))]
        expect(seen.map(({ _tag }) => _tag)).toEqual(["SessionStarted", "SessionEnded"])
      }
    }).pipe(memory, Effect.provideService(Received, []))
  )
})

/** A table of a database: what `authorize` requires. */
class Clients extends Context.Tag("test/Clients")<
  Clients,
  (publicKey: Uint8Array) => Effect.Effect<Verdict, StoreFull>
>() {}

describe("an authorization that asks a database", () => {
  const alice = generate()
  const server = generate()
  const psks = [
    { name: "first", secret: psk },
    { name: "second", secret: Secret.random(32) }
  ] as const
  const attempt = (
    answer: Context.Tag.Service<typeof Clients>,
    options: { readonly suite?: SuiteName; readonly secret?: Secret } = {}
  ) =>
    Effect.gen(function* () {
      const refused: Array<string> = []
      const { suite = "IK", secret = psk } = options
      const { hasSharedKey, hasServerKey } = suiteNamed(suite)
      const { address } = yield* Server.listen({
        address: anyPort,
        keys: {
          identities: [server],
          suites: [suiteNamed(suite)],
          ...(hasSharedKey ? { psks } : {}),
          authorize: (publicKey) => Effect.flatMap(Clients, (find) => find(publicKey))
        },
        services: [
          {
            name: "name",
            run: ({ channel, remote }) =>
              Effect.zipRight(channel.write(Buffer.from(remote.peer)), channel.end)
          }
        ],
        on: (event) =>
          Effect.sync(() => event._tag === "ConnectionRefused" && refused.push(event.reason))
      })
      const keys = {
        identity: alice,
        ...(hasSharedKey ? { psk: secret } : {}),
        ...(hasServerKey
          ? { serverKey: server.publicKey }
          : { checkServer: () => Effect.succeed(true) })
      }
      const named = yield* Effect.either(
        Effect.scoped(
          Effect.flatMap(dial({ address, keys }, "name"), (channel) =>
            Effect.map(channel.read, (item) => String(item))
          )
        )
      )
      return [named._tag === "Right" ? named.right : named.left._tag, ...refused]
    }).pipe(Effect.provideService(Clients, answer), memory)

  it.scopedLive.each(["IK", "XX", "IKpsk2", "XXpsk3"] as const)("accepts with %s", (suite) =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const found = attempt(
        (publicKey) => {
          asked.push(Buffer.from(publicKey).toString("hex"))
          return Effect.delay(Effect.succeed({ name: "alice of the database" }), 5)
        },
        { suite }
      )
      expect(yield* found).toEqual(["alice of the database"])
      expect(asked).toEqual([Buffer.from(alice.publicKey).toString("hex")])
    })
  )

  it.scopedLive.each([
    ["refuses", Effect.succeed("not in the table"), "not in the table"],
    [
      "fails",
      new StoreFull({ message: "no connection to the database" }),
      "its authorization could not be decided: no connection to the database"
    ]
  ] as const)("that %s refuses the client", ([, answer, reason]) =>
    Effect.gen(function* () {
      expect(yield* attempt(() => answer)).toEqual(["HandshakeFailed", reason])
    })
  )

  it.scopedLive("selects the shared key where the client's key comes first", () =>
    Effect.gen(function* () {
      const second = () => Effect.succeed({ name: "alice", sharedKey: "second" })
      const secret = psks[1].secret
      expect(yield* attempt(second, { suite: "IKpsk2", secret })).toEqual(["alice"])
      // The first shared key opens message 3, and is not that of this client.
      expect(yield* attempt(second, { suite: "XXpsk3" })).toEqual([
        "HandshakeFailed",
        "it needs the shared key second, and has proven another"
      ])
    })
  )

  it.scopedLive("is interrupted when the client leaves, and has the handshake's deadline", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const found = attempt(() =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      )
      yield* Effect.scoped(Effect.timeoutOption(found, 50))
      yield* waitUntil("the interruption", () => interrupted === 1)
    })
  )
})
