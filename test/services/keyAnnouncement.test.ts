// Key announcements: the encoding, and the clients and servers that use them.
import { createHmac } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as Channel from "../../src/channel/Channel.ts"
import { limits } from "../../src/channel/limits.ts"
import type { Suite } from "../../src/channel/Suite.ts"
import * as Possession from "../../src/channel/Possession.ts"
import { generate, type KeyPair } from "../../src/keys/KeyPair.ts"
import type { ServerKey } from "../../src/peers/KnownPeers.ts"
import { dial } from "../../src/services/Dial.ts"
import * as KeyAnnouncement from "../../src/services/KeyAnnouncement.ts"
import * as MessageClient from "../../src/services/messages/MessageClient.ts"
import { encodeReceipt } from "../../src/services/messages/Receipt.ts"
import * as MessageService from "../../src/services/messages/MessageService.ts"
import * as Server from "../../src/services/Server.ts"
import { application } from "../../src/services/Service.ts"
import type { Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { dialKeys, mallory, server, serverKeys, anyPort, suiteOf } from "../channel/rig.ts"
import { pause, waitUntil, withTimeout } from "../../src/testing/steps.ts"

const retirements = FastCheck.integer({
  min: 1,
  max: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000
}).map((seconds) => seconds * 1000)
const pool = Array.from({ length: limits.identities }, generate)
/** Keys of a server, in any order, and the one of the handshake. */
const announced = FastCheck.record({
  keys: FastCheck.shuffledSubarray(pool, { minLength: 1 }),
  dates: FastCheck.array(FastCheck.option(retirements), {
    minLength: limits.identities,
    maxLength: limits.identities
  }),
  at: FastCheck.nat(limits.identities - 1)
}).map(({ keys, dates, at }) => {
  const set = keys.map((pair, index): KeyAnnouncement.OwnKey => {
    const retires = index === 0 ? null : dates[index]
    return retires === null || retires === undefined ? pair : { ...pair, retires }
  })
  return { set, shown: set[at % set.length]?.publicKey ?? new Uint8Array(0) }
})

/** Both sides of a channel with this handshake hash. */
const channelOf = (hash: number, shown: Uint8Array) => {
  const ephemeral = generate()
  const bytes = Buffer.alloc(32, hash)
  return {
    client: { shown, possession: Possession.ofClient(bytes, ephemeral) },
    server: { shown, possession: Possession.ofServer(bytes, ephemeral.publicKey) }
  }
}

const encode = (keys: ReadonlyArray<KeyAnnouncement.OwnKey>, proven: KeyAnnouncement.Proven) =>
  KeyAnnouncement.encode(keys, proven) ?? Buffer.alloc(0)

/** The public part of keys, with bytes that compare. */
const publicOf = (keys: ReadonlyArray<ServerKey> | undefined) =>
  keys?.map(({ publicKey, retires }) => ({
    publicKey: Buffer.from(publicKey).toString("hex"),
    ...(retires === undefined ? {} : { retires })
  }))

describe("an announcement", () => {
  it.prop("round-trips", { announced }, ({ announced: { set, shown } }) => {
    const { client, server: far } = channelOf(1, shown)
    expect(publicOf(KeyAnnouncement.decode(encode(set, far), client))).toEqual(publicOf(set))
  })

  it.prop(
    "rejects any other length",
    { announced, length: FastCheck.nat(400) },
    ({ announced: { set, shown }, length }) => {
      const { client, server: far } = channelOf(1, shown)
      const body = encode(set, far)
      FastCheck.pre(length !== body.length)
      const other = Buffer.concat([body, Buffer.alloc(400)]).subarray(0, length)
      expect(KeyAnnouncement.decode(other, client)).toBeUndefined()
    }
  )

  it.prop(
    "rejects any flipped bit",
    { announced, at: FastCheck.nat(), bit: FastCheck.nat(7) },
    ({ announced: { set, shown }, at, bit }) => {
      // Of a single key the set is authenticated by the channel alone.
      FastCheck.pre(set.length > 1)
      const { client, server: far } = channelOf(1, shown)
      const body = Buffer.from(encode(set, far))
      const index = at % body.length
      body[index] = (body[index] as number) ^ (1 << bit)
      expect(KeyAnnouncement.decode(body, client)).toBeUndefined()
    }
  )

  const [one, two, three] = pool as [KeyPair, KeyPair, KeyPair]
  const shown = one.publicKey
  const { client, server: far } = channelOf(1, shown)
  const good = encode([one, { ...two, retires: 1000 }], far)
  const changed = (at: number, ...bytes: ReadonlyArray<number>) => {
    const body = Buffer.from(good)
    body.set(bytes, at)
    return body
  }
  const dateAt = 2 + 40 + 32
  const lastDate = Date.UTC(9999, 11, 31, 23, 59, 59)
  /** A key without its private part: a server that proves it with a key of its own. */
  const claimed = (publicKey: Uint8Array): KeyAnnouncement.OwnKey => ({ ...three, publicKey })
  const setOnly = (...keys: ReadonlyArray<KeyAnnouncement.OwnKey>) =>
    encode(keys, far).subarray(0, 2 + keys.length * 40)
  const lowOrder = Buffer.alloc(32)
  lowOrder[0] = 1
  const nonCanonical = Buffer.from(two.publicKey)
  nonCanonical[31] = (nonCanonical[31] as number) | 0x80
  const malformed: ReadonlyArray<readonly [name: string, body: Uint8Array]> = [
    ["no bytes", Buffer.alloc(0)],
    ["version 0", changed(0, 0)],
    ["version 1", changed(0, 1)],
    ["version 3", changed(0, 3)],
    ["no key", Buffer.from([2, 0])],
    ["a count too small", changed(1, 1)],
    ["a count too large", changed(1, 3)],
    ["more keys than a server may have", encode([...pool, generate()], far)],
    ["the key of the handshake twice", encode([one, one], far)],
    ["another key twice", encode([one, two, two], far)],
    ["a current key that retires", encode([{ ...one, retires: 1000 }, two], far)],
    ["a set without the key of the handshake", encode([two, three], far)],
    ["a date beyond the year 9999", encode([one, { ...two, retires: lastDate + 1000 }], far)],
    ["the highest possible date", changed(dateAt, 255, 255, 255, 255, 255, 255, 255, 255)],
    [
      "the key of another server, proven with an own one",
      encode([one, claimed(two.publicKey)], far)
    ],
    ["a proof of zeros", Buffer.concat([setOnly(one, two), Buffer.alloc(32)])],
    ["a point of low order", encode([one, claimed(lowOrder)], far)],
    [
      "a point of low order, with the proof of an all-zero result",
      Buffer.concat([
        setOnly(one, claimed(lowOrder)),
        createHmac("sha256", Buffer.alloc(32))
          .update("sealwire key announcement\0")
          .update(Buffer.alloc(32, 1))
          .update(lowOrder)
          .update(setOnly(one, claimed(lowOrder)))
          .digest()
      ])
    ],
    ["a key in a second spelling", encode([one, { ...two, publicKey: nonCanonical }], far)],
    ["the proofs of another channel", encode([one, two], channelOf(2, shown).server)],
    [
      "the proof of another set",
      Buffer.concat([setOnly(one, { ...two, retires: 2000 }), good.subarray(good.length - 32)])
    ],
    [
      "two proofs in another order",
      Buffer.concat([
        setOnly(one, two, three),
        encode([one, two, three], far).subarray(-32),
        encode([one, two, three], far).subarray(-64, -32)
      ])
    ]
  ]
  it.each(malformed)("rejects %s", (_, body) => {
    expect(publicOf(KeyAnnouncement.decode(good, client))).toEqual(
      publicOf([one, { ...two, retires: 1000 }])
    )
    expect(KeyAnnouncement.decode(body, client)).toBeUndefined()
  })

  it("is not sent to a client without an ephemeral key, nor believed after forget", () => {
    const nothing = { shown, possession: Possession.ofServer(Buffer.alloc(32), undefined) }
    expect(KeyAnnouncement.encode([one, two], nothing)).toBeUndefined()
    const { client: other, server: peer } = channelOf(1, shown)
    other.possession.forget()
    expect(KeyAnnouncement.decode(encode([one, two], peer), other)).toBeUndefined()
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
  const tell =
    (...keys: ReadonlyArray<KeyAnnouncement.OwnKey>) =>
    (channel: Channel.Channel) =>
      channel.sendControl(encode(keys, { shown: server.publicKey, possession: channel.possession }))
  const good = tell(server, next)
  const tampered = { announcements: [], error: "ChannelTampered" }

  it.scopedLive.each(["IK", "XX", "IKpsk2", "XXpsk3"] as const)(
    "%s: accepts an announcement before the first receipt",
    (name) =>
      Effect.gen(function* () {
        const address = yield* listenAnd(good)
        const { announcements, error } = yield* announcedTo(address, suiteOf(name))
        expect(error).toBeUndefined()
        expect(announcements.map(publicOf)).toEqual([publicOf([server, next])])
      }).pipe(memory)
  )

  const refused: ReadonlyArray<
    readonly [name: string, announce: (channel: Channel.Channel) => Effect.Effect<unknown, unknown>]
  > = [
    ["any other control message", (channel) => channel.sendControl(Buffer.from("?"))],
    ["an announcement without the key of the handshake", tell(next)],
    [
      "an announcement after a receipt",
      (channel) =>
        Effect.zipRight(
          channel.write(encodeReceipt({ status: "handled", count: 0 })),
          good(channel)
        )
    ],
    [
      "the key of another server, which this one does not hold",
      tell(server, { ...mallory, publicKey: next.publicKey })
    ],
    [
      "an announcement of another channel",
      (channel) =>
        channel.sendControl(encode([server, next], channelOf(7, server.publicKey).server))
    ]
  ]
  it.scopedLive.each(refused)("%s ends the channel", ([, announce]) =>
    Effect.gen(function* () {
      expect(yield* announcedTo(yield* listenAnd(announce), suiteOf("IK"))).toEqual(tampered)
    }).pipe(memory)
  )

  const item = Buffer.alloc(60_000)
  it.scopedLive.each([0, 1, 200])(
    "the flow of a channel gives %d items and the end only after the keys are handled",
    (count) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        let written = 0
        const { address } = yield* transport.listen(anyPort, (connection) =>
          Effect.gen(function* () {
            const channel = yield* Channel.accept(connection, { ...serverKeys, application })
            yield* good(channel)
            for (; written < count; written++) yield* channel.write(item)
            yield* channel.end
            yield* channel.read
          }).pipe(Effect.ignore)
        )
        const told: Array<string> = []
        let bytes = 0
        const { flow } = yield* dial(
          {
            address,
            keys: dialKeys(suiteOf("IK")),
            onServerKeys: () =>
              Effect.zipRight(
                pause(100),
                Effect.sync(() => {
                  // The server waits too: nothing piles up here.
                  expect(written).toBeLessThan(40)
                  told.push("keys")
                })
              )
          },
          "message"
        )
        flow.start({
          item: (next) => {
            bytes += next instanceof Uint8Array ? next.length : 0
            if (told.at(-1) !== "items") told.push("items")
          },
          drained: () => {},
          end: () => void told.push("end"),
          closed: () => {}
        })
        yield* pause(20)
        // A program that pauses and resumes meanwhile changes nothing.
        flow.pause()
        flow.resume()
        yield* waitUntil("the end", () => told.includes("end"))
        expect(told).toEqual(count === 0 ? ["keys", "end"] : ["keys", "items", "end"])
        expect(bytes).toBe(count * item.length)
      }).pipe(memory)
  )

  it.scopedLive("the flow of a channel stays paused when the program paused it meanwhile", () =>
    Effect.gen(function* () {
      const address = yield* listenAnd(good)
      const told: Array<string> = []
      const { flow } = yield* dial(
        {
          address,
          keys: dialKeys(suiteOf("IK")),
          onServerKeys: () =>
            Effect.sync(() => {
              told.push("keys")
              flow.pause()
            })
        },
        "message"
      )
      flow.start({
        item: () => void told.push("item"),
        drained: () => {},
        end: () => {},
        closed: () => {}
      })
      yield* waitUntil("the keys", () => told.length === 1)
      yield* pause(50)
      expect(told).toEqual(["keys"])
      flow.resume()
      yield* waitUntil("the item", () => told.length === 2)
    }).pipe(memory)
  )

  it.scopedLive("a second announcement ends the channel", () =>
    Effect.gen(function* () {
      const address = yield* listenAnd((channel) => Effect.zipRight(good(channel), good(channel)))
      expect(yield* announcedTo(address, suiteOf("IK"))).toMatchObject({
        announcements: [{}],
        error: "ChannelTampered"
      })
    }).pipe(memory)
  )

  it.scopedLive("an announcement of a server without an identity ends the channel", () =>
    Effect.gen(function* () {
      const address = yield* listenAnd((channel) =>
        channel.sendControl(encode([server, next], channelOf(1, server.publicKey).server))
      )
      expect(yield* announcedTo(address, suiteOf("NNpsk0"))).toEqual(tampered)
    }).pipe(memory)
  )
})

/** The record of version 1, which had no proofs. */
const unproven = Buffer.alloc(2 + 2 * 40)
unproven.set([1, 2])
unproven.set(server.publicKey, 2)
unproven.set(next.publicKey, 42)

describe("an announcement of version 1", () => {
  it.scopedLive("is ignored with a warning: nothing is believed, and the session goes on", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const address = yield* listenAnd((channel) => channel.sendControl(unproven))
      const result = yield* announcedTo(address, suiteOf("IK")).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      expect(result).toEqual({ announcements: [], error: undefined })
      expect(warnings).toEqual([expect.stringContaining("without proof")])
    }).pipe(memory)
  )

  it.scopedLive("ends the channel in any other place", () =>
    Effect.gen(function* () {
      const address = yield* listenAnd((channel) =>
        Effect.zipRight(channel.sendControl(unproven), channel.sendControl(unproven))
      )
      expect(yield* announcedTo(address, suiteOf("IK"))).toMatchObject({
        announcements: [],
        error: "ChannelTampered"
      })
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
  it.scopedLive("announces its keys, also a single one, to clients with an identity", () =>
    Effect.gen(function* () {
      const single = yield* announcedTo(yield* serving([server]), suiteOf("IK"))
      expect(single.announcements.map(publicOf)).toEqual([publicOf([server])])
      const retires = Math.ceil(Date.now() / 1000 + 60) * 1000
      const old = generate()
      const address = yield* serving([server, next, { ...old, retires }])
      const { announcements } = yield* announcedTo(address, suiteOf("IK"))
      expect(announcements.map(publicOf)).toEqual([publicOf([server, next, { ...old, retires }])])
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
      const { announcements } = yield* announcedTo(address, suiteOf("IK"))
      expect(announcements.map(publicOf)).toEqual([publicOf([server])])
    }).pipe(memory)
  )
})
