// A server with several services: the client names one, and the rules of the peer allow or refuse it.
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { describe, expect } from "vitest"
import * as Channel from "../../src/channel/Channel.ts"
import { RecordType } from "../../src/channel/ChannelRecord.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none as noPadding } from "../../src/channel/Padding.ts"
import { PeerList } from "../../src/peers/PeerList.ts"
import { rulesOf, type RuleValues } from "../peers/rulesOf.ts"
import { dial } from "../../src/services/Dial.ts"
import { PeerSessions } from "../../src/services/PeerSessions.ts"
import * as Server from "../../src/services/Server.ts"
import { application, opening, parseOpening, type Service } from "../../src/services/Service.ts"
import type { Address } from "../../src/transports/Address.ts"
import { Transport } from "../../src/transports/index.ts"
import { dialKeys, serverKeys, suiteOf } from "../channel/rig.ts"
import { withTimeout, waitUntil } from "../../src/testing/steps.ts"
import { startServer } from "./startServer.ts"

/** A service that sends its name and argument, counts one word, and ends. */
const echo = (name: Service["name"]): Service => ({
  name,
  takesArgument: name === "tunnel",
  run: ({ channel, argument, counters }) =>
    Effect.gen(function* () {
      counters.words = 1
      yield* channel.write(Buffer.from(`${name}:${argument}`))
      yield* channel.end
    })
})

/** A service that holds its session until the client ends it. */
const waiting: Service = {
  name: "waiting",
  run: ({ channel }) =>
    Effect.gen(function* () {
      yield* channel.write(Buffer.from("in"))
      while ((yield* channel.read) !== undefined);
      yield* channel.end
    })
}

const serving = (rules: RuleValues = {}, options: Partial<Server.ServeOptions> = {}) =>
  Effect.gen(function* () {
    const publicKey = dialKeys(suiteOf("IK")).identity?.publicKey ?? Buffer.alloc(0)
    const peers = yield* PeerSessions.make(
      new PeerList([{ publicKey, name: "alice", rules: rulesOf(rules), line: 1 }])
    )
    return yield* startServer({
      keys: { ...serverKeys, authorize: peers.authorize },
      peers,
      services: [echo("message"), echo("tunnel"), waiting],
      ...options
    })
  })

const request = (address: Address, openingText: string) =>
  Effect.gen(function* () {
    const channel = yield* dial({ address, keys: dialKeys(suiteOf("IK")) }, openingText)
    const received: Array<string> = []
    for (let item = yield* channel.read; item !== undefined; item = yield* channel.read)
      received.push(item instanceof Channel.Control ? "control" : Buffer.from(item).toString())
    return received.join("")
  })

const memory = Effect.provide(Transport.layerMemory())

describe("a server", () => {
  it.scopedLive("runs the service that the client names, with its argument", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving()
      expect(yield* request(address, "message")).toBe("message:")
      expect(yield* request(address, "tunnel mail and more")).toBe("tunnel:mail and more")
      yield* waitUntil(
        "the ends",
        () => events.filter(({ _tag }) => _tag === "SessionEnded").length === 2
      )
      expect(events.filter(({ _tag }) => _tag === "SessionEnded")).toMatchObject([
        { service: "message", counted: { words: 1 }, error: undefined },
        { service: "tunnel", counted: { words: 1 }, error: undefined }
      ])
    }).pipe(memory)
  )

  it.scopedLive.each([
    "file",
    "",
    "MESSAGE",
    " message",
    "constructor",
    "message\n",
    "message ",
    "message x",
    "tunnel ",
    "tunnel  x",
    "tunnel x ",
    "tunnel\tx"
  ])("refuses an unknown or malformed opening: %j", (openingText) =>
    Effect.gen(function* () {
      const { address, events } = yield* serving()
      expect(yield* Effect.flip(request(address, openingText))).toMatchObject({
        _tag: "NotOffered",
        opening: openingText
      })
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.at(-1)).toMatchObject({
        counted: {},
        error: { _tag: "NotServed", peer: "alice" }
      })
      expect(yield* request(address, "message")).toBe("message:")
    }).pipe(memory)
  )

  it.scopedLive("refuses a service that the rules of the peer do not allow", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving({ services: ["tunnel"] })
      expect(yield* Effect.flip(request(address, "message"))).toMatchObject({
        _tag: "ChannelRefused"
      })
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(events.at(-1)).toMatchObject({
        error: {
          _tag: "RefusedByRules",
          reason: "its rules allow only the services tunnel, not message (list:1)"
        }
      })
      expect(yield* request(address, "tunnel x")).toBe("tunnel:x")
    }).pipe(memory)
  )
})

describe("connections of one peer", () => {
  const open = (address: Address, suite: Parameters<typeof suiteOf>[0] = "IK") =>
    dial({ address, keys: dialKeys(suiteOf(suite)) }, "waiting").pipe(
      Effect.tap((channel) => channel.read)
    )
  const refusals = (events: ReadonlyArray<Server.ServerEvent>) =>
    events.filter((event) => event._tag === "ConnectionRefused")

  it.scopedLive.each([
    ["by default half of those of the server", {}, { connections: 8 }, 4],
    ["as its rules say", { connections: 6 }, { connections: 8 }, 6],
    ["as the server says", {}, { connections: 8, peerConnections: 2 }, 2]
  ] as const)("are limited: %s", ([, rules, options, most]) =>
    Effect.gen(function* () {
      const { address, events } = yield* serving(rules, options)
      const opened = []
      for (let count = 0; count < most; count++) opened.push(yield* open(address))
      expect(yield* Effect.flip(open(address))).toMatchObject({ _tag: "ChannelRefused" })
      yield* waitUntil("the event", () => refusals(events).length === 1)
      expect(refusals(events)).toMatchObject([
        { reason: `alice already has as many connections as one peer may have: ${most}` }
      ])
      // Another peer is not affected: a client of the shared key.
      yield* open(address, "NNpsk0")
      // A connection that ends makes room.
      yield* opened[0]?.end ?? Effect.void
      yield* withTimeout(
        "a free place",
        Effect.retry(open(address), { schedule: Schedule.spaced("20 millis") })
      )
    }).pipe(memory)
  )

  /** A client that is authenticated, then answers nothing: its connection was lost unnoticed. */
  const openAndVanish = (address: Address) =>
    Effect.gen(function* () {
      const connection = yield* (yield* Transport).connect(address)
      const keys = { ...dialKeys(suiteOf("IK")), application }
      const { send } = yield* Channel.initiate(connection, keys)
      connection.flow.start({ bytes: () => {}, drained: () => {}, end: () => {}, lost: () => {} })
      const out = new Outbound(send, noPadding, (bytes) => connection.flow.write(bytes))
      out.record(RecordType.Ready, Buffer.from("waiting"))
      out.flush()
    })

  it.scoped("do not lock out the peer that has lost its only one", () =>
    Effect.gen(function* () {
      const { address, events } = yield* serving({ connections: 1 })
      yield* openAndVanish(address)
      yield* waitUntil("the session", () => events.length === 2)
      const next = yield* Effect.fork(open(address))
      for (let step = 0; step < 100; step++) yield* TestClock.adjust("50 millis")
      yield* withTimeout("the next session", Fiber.join(next))
      expect(events.map(({ _tag }) => _tag)).toEqual([
        "Listening",
        "SessionStarted",
        "SessionEnded",
        "SessionStarted"
      ])
      // The session that answers keeps its place.
      const third = yield* Effect.fork(Effect.flip(open(address)))
      for (let step = 0; step < 100; step++) yield* TestClock.adjust("50 millis")
      expect(yield* withTimeout("a refusal", Fiber.join(third))).toMatchObject({
        _tag: "ChannelRefused"
      })
    }).pipe(memory)
  )

  it.scopedLive("of a shared key count by the source of their address", () =>
    Effect.gen(function* () {
      const { address } = yield* serving({}, { peerConnections: 1 })
      yield* open(address, "NNpsk0")
      expect(yield* Effect.flip(open(address, "NNpsk0"))).toMatchObject({ _tag: "ChannelRefused" })
    }).pipe(memory)
  )
})

it("an opening round-trips its name and argument", () => {
  for (const argument of ["", "mail", "two words"])
    expect(parseOpening(opening("tunnel", argument))).toEqual({ name: "tunnel", argument })
})
