// Key announcements: the encoding, and the clients and servers that use them.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Channel from "../../src/channel/Channel.ts"
import { limits } from "../../src/channel/limits.ts"
import type { Suite } from "../../src/channel/Suite.ts"
import { generate } from "../../src/keys/KeyPair.ts"
import type { ServerKey } from "../../src/peers/KnownPeers.ts"
import * as KeyAnnouncement from "../../src/services/KeyAnnouncement.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { encodeReceipt } from "../../src/services/messages/Receipt.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import { application } from "../../src/services/Service.ts"
import type { Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { dialKeys, server, serverKeys, anyPort, suiteOf } from "../channel/rig.ts"
import { pause, withTimeout } from "../../src/testing/steps.ts"

const publicKeys = FastCheck.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) =>
  Buffer.from(bytes)
)
const retirements = FastCheck.integer({
  min: 1,
  max: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000
}).map((seconds) => seconds * 1000)
const announced = FastCheck.uniqueArray(
  FastCheck.record(
    { publicKey: publicKeys, retires: retirements },
    { requiredKeys: ["publicKey"] }
  ),
  {
    minLength: 1,
    maxLength: limits.identities,
    selector: ({ publicKey }) => publicKey.toString("hex")
  }
).map(([first, ...others]) => [{ publicKey: first?.publicKey as Buffer }, ...others])

describe("an announcement", () => {
  it.prop("round-trips", { keys: announced }, ({ keys }) => {
    expect(KeyAnnouncement.decode(KeyAnnouncement.encode(keys))).toEqual(keys)
  })

  it.prop(
    "rejects any other length",
    { keys: announced, length: FastCheck.nat(400) },
    ({ keys, length }) => {
      const body = KeyAnnouncement.encode(keys)
      FastCheck.pre(length !== body.length)
      const other = Buffer.concat([body, Buffer.alloc(400)]).subarray(0, length)
      expect(KeyAnnouncement.decode(other)).toBeUndefined()
    }
  )

  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const good = KeyAnnouncement.encode([{ publicKey: one }, { publicKey: two, retires: 1000 }])
  const changed = (at: number, ...bytes: ReadonlyArray<number>) => {
    const body = Buffer.from(good)
    body.set(bytes, at)
    return body
  }
  const many = Array.from({ length: limits.identities + 1 }, (_, index) => ({
    publicKey: Buffer.alloc(32, index)
  }))
  const malformed: ReadonlyArray<readonly [name: string, body: Uint8Array]> = [
    ["no bytes", Buffer.alloc(0)],
    ["version 0", changed(0, 0)],
    ["version 2", changed(0, 2)],
    ["no key", Buffer.from([1, 0])],
    ["a count too small", changed(1, 1)],
    ["a count too large", changed(1, 3)],
    ["more keys than a server may have", KeyAnnouncement.encode(many)],
    ["one key twice", KeyAnnouncement.encode([{ publicKey: one }, { publicKey: one }])],
    [
      "a current key that retires",
      KeyAnnouncement.encode([{ publicKey: one, retires: 1000 }, { publicKey: two }])
    ],
    [
      "a date beyond the year 9999",
      changed(good.length - 8, 0, 0, 0, 0x3a, 0xff, 0xf4, 0x41, 0x80)
    ],
    ["the highest possible date", changed(good.length - 8, 255, 255, 255, 255, 255, 255, 255, 255)]
  ]
  it.each(malformed)("rejects %s", (_, body) => {
    expect(KeyAnnouncement.decode(good)).toEqual([
      { publicKey: one },
      { publicKey: two, retires: 1000 }
    ])
    expect(KeyAnnouncement.decode(body)).toBeUndefined()
  })
})

const memory = Effect.provide(Transport.layerMemory())
const next = generate()

/** A server that runs `announce` after READY, and then sends a receipt. */
const listenAnd = (announce: (channel: Channel.Channel) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const { address } = yield* transport.listen(anyPort, (connection) =>
      Effect.gen(function* () {
        const channel = yield* Channel.accept(connection, { ...serverKeys, application })
        yield* announce(channel)
        yield* channel.write(encodeReceipt({ status: "handled", count: 1 }))
        while ((yield* channel.read) !== undefined);
      }).pipe(Effect.ignore)
    )
    return address
  })

/** Sends a message; returns the announcements that arrived and the tag of the error. */
const announcedTo = (address: Address, suite: Suite) =>
  Effect.gen(function* () {
    const announcements: Array<ReadonlyArray<ServerKey>> = []
    const client = yield* MessageClient.connect({
      address,
      keys: dialKeys(suite),
      onServerKeys: (keys, shown) =>
        Effect.sync(() => {
          expect(shown).toEqual(server.publicKey)
          announcements.push(keys)
        })
    })
    const ended = yield* withTimeout("the end", Effect.either(client.send([Buffer.from("x")])))
    return { announcements, error: ended._tag === "Left" ? ended.left._tag : undefined }
  }).pipe(Effect.scoped)

describe("a client", () => {
  const own = { publicKey: server.publicKey }
  const good = KeyAnnouncement.encode([own, next])
  const tampered = { announcements: [], error: "ChannelTampered" }

  it.scopedLive.each(["IK", "XX", "IKpsk2", "XXpsk3"] as const)(
    "%s: accepts an announcement before the first receipt",
    (name) =>
      Effect.gen(function* () {
        const address = yield* listenAnd((channel) => channel.sendControl(good))
        const { announcements, error } = yield* announcedTo(address, suiteOf(name))
        expect(error).toBeUndefined()
        expect(announcements).toEqual([
          [own, { publicKey: Buffer.from(next.publicKey) }].map((key) => ({
            publicKey: Buffer.from(key.publicKey)
          }))
        ])
      }).pipe(memory)
  )

  const refused: ReadonlyArray<
    readonly [name: string, announce: (channel: Channel.Channel) => Effect.Effect<unknown, unknown>]
  > = [
    ["any other control message", (channel) => channel.sendControl(Buffer.from("?"))],
    [
      "an announcement without the key of the handshake",
      (channel) => channel.sendControl(KeyAnnouncement.encode([next]))
    ],
    [
      "an announcement after a receipt",
      (channel) =>
        Effect.zipRight(
          channel.write(encodeReceipt({ status: "handled", count: 0 })),
          channel.sendControl(good)
        )
    ]
  ]
  it.scopedLive.each(refused)("%s ends the channel", ([, announce]) =>
    Effect.gen(function* () {
      expect(yield* announcedTo(yield* listenAnd(announce), suiteOf("IK"))).toEqual(tampered)
    }).pipe(memory)
  )

  it.scopedLive("a second announcement ends the channel", () =>
    Effect.gen(function* () {
      const address = yield* listenAnd((channel) =>
        Effect.zipRight(channel.sendControl(good), channel.sendControl(good))
      )
      expect(yield* announcedTo(address, suiteOf("IK"))).toMatchObject({
        announcements: [{}],
        error: "ChannelTampered"
      })
    }).pipe(memory)
  )

  it.scopedLive("an announcement of a server without an identity ends the channel", () =>
    Effect.gen(function* () {
      const address = yield* listenAnd((channel) => channel.sendControl(good))
      expect(yield* announcedTo(address, suiteOf("NNpsk0"))).toEqual(tampered)
    }).pipe(memory)
  )
})

describe("a server", () => {
  const serving = (identities: ReadonlyArray<Server.Identity>) =>
    Effect.gen(function* () {
      const listening = yield* Deferred.make<Address>()
      yield* Effect.forkScoped(
        Server.serve({
          address: anyPort,
          keys: { ...serverKeys, identities },
          services: [MessageService.service(() => Effect.void)],
          on: (event) =>
            event._tag === "Listening" ? Deferred.succeed(listening, event.address) : Effect.void
        })
      )
      return yield* withTimeout("the listener", Deferred.await(listening))
    })
  const keysOf = (keys: ReadonlyArray<ServerKey>) =>
    keys.map(({ publicKey, ...rest }) => ({
      publicKey: Buffer.from(publicKey).toString("hex"),
      ...rest
    }))
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

  it.scopedLive("announces only several keys, and only to clients with an identity", () =>
    Effect.gen(function* () {
      expect(yield* announcedTo(yield* serving([server]), suiteOf("IK"))).toEqual({
        announcements: [],
        error: undefined
      })
      const retires = Math.ceil(Date.now() / 1000 + 60) * 1000
      const old = generate()
      const address = yield* serving([server, next, { ...old, retires }])
      const { announcements } = yield* announcedTo(address, suiteOf("IK"))
      expect(announcements.map(keysOf)).toEqual([
        [
          { publicKey: hex(server.publicKey) },
          { publicKey: hex(next.publicKey) },
          { publicKey: hex(old.publicKey), retires }
        ]
      ])
      expect(yield* announcedTo(address, suiteOf("NNpsk0"))).toEqual({
        announcements: [],
        error: undefined
      })
    }).pipe(memory)
  )

  it.scopedLive("uses and announces a retiring key until its date", () =>
    Effect.gen(function* () {
      const old = generate()
      const address = yield* serving([server, { ...old, retires: Date.now() + 400 }])
      const attempt = MessageClient.connect({
        address,
        keys: dialKeys(suiteOf("IK"), { serverKey: old.publicKey })
      }).pipe(Effect.scoped, Effect.either)
      expect((yield* withTimeout("before", attempt))._tag).toBe("Right")
      yield* pause(450)
      expect(yield* withTimeout("after", attempt)).toMatchObject({
        _tag: "Left",
        left: { _tag: "HandshakeFailed" }
      })
      expect(yield* announcedTo(address, suiteOf("IK"))).toEqual({
        announcements: [],
        error: undefined
      })
    }).pipe(memory)
  )
})
