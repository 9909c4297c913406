// A tunnel from end to end, over memory and over real sockets: whatever one program does, the other sees.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Control } from "../../../src/channel/Channel.ts"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { rulesOf } from "../../peers/rulesOf.ts"
import { dial } from "../../../src/services/Dial.ts"
import * as TunnelClient from "../../../src/services/tunnel/TunnelClient.ts"
import { untilOffered } from "../../../src/services/tunnel/ChannelPool.ts"
import { encode } from "../../../src/services/tunnel/Messages.ts"
import type { Connection, Flow } from "../../../src/transports/Connection.ts"
import { tcp } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { alice, clientKeys, anyPort, suiteOf, acceptAnyServer } from "../../channel/rig.ts"
import {
  readAll,
  readAtLeast,
  pause,
  withTimeout,
  settled,
  waitUntil
} from "../../../src/testing/steps.ts"
import { failed, rig } from "./tunnelRig.ts"

const layers = [
  ["memory", Transport.layerMemory()],
  ["sockets", Transport.layerNet]
] as const

const say = ({ write }: Connection, text: string) => write(Buffer.from(text))
const ends = (connection: Connection) =>
  Effect.map(readAll(connection), (bytes) => bytes.toString())
/** How reading ends: what came, and "end" or the code of the loss. */
const outcome = (connection: Connection) =>
  withTimeout(
    "the end",
    Effect.either(
      Effect.forever(
        Effect.flatMap(connection.read, (chunk) =>
          chunk === undefined ? Effect.fail({ code: "end" }) : Effect.void
        )
      )
    )
  ).pipe(
    Effect.map((result) =>
      result._tag === "Left" ? (result.left as { readonly code: string }).code : "?"
    )
  )

describe.each(layers)("a tunnel over %s", (_, layer) => {
  it.scopedLive("keeps half-close both ways, whoever ends first", () =>
    Effect.gen(function* () {
      const { both, ended } = yield* rig()
      for (const first of ["client", "target"] as const) {
        const { client, target } = yield* both
        const [one, other] = first === "client" ? [client, target] : [target, client]
        yield* say(one.connection, "all I say")
        yield* one.connection.end
        expect(yield* withTimeout("the first end", ends(other.connection))).toBe("all I say")
        // The other direction goes on for as long as it likes.
        yield* pause(20)
        yield* say(other.connection, "and you hear ")
        yield* pause(20)
        yield* say(other.connection, "me still")
        yield* other.connection.end
        expect(yield* withTimeout("the second end", ends(one.connection))).toBe(
          "and you hear me still"
        )
        yield* target.close()
        yield* client.close()
      }
      yield* waitUntil("both ends", () => ended.length === 2)
      expect(ended).toEqual([undefined, undefined])
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("makes a reset of a reset, whoever is cut off", () =>
    Effect.gen(function* () {
      const { both, ended, events } = yield* rig({ pool: 0 })
      for (const first of ["client", "target"] as const) {
        const { client, target } = yield* both
        const [one, other] = first === "client" ? [client, target] : [target, client]
        yield* say(other.connection, "hello")
        expect(yield* withTimeout("the greeting", readAtLeast(one.connection, 5))).toBe("hello")
        yield* one.connection.abort
        expect(yield* outcome(other.connection)).toBe("ECONNRESET")
        yield* target.close(failed)
        yield* client.close(failed)
      }
      yield* waitUntil("both ends", () => ended.length === 2)
      // Who saw the socket, and who was told in the close.
      expect(ended.map((error) => error?._tag)).toEqual(["ConnectionLost", "ChannelClosed"])
      yield* waitUntil(
        "the server's ends",
        () => events.filter(({ _tag }) => _tag === "SessionEnded").length === 2
      )
      const errors = events.flatMap((event) =>
        event._tag === "SessionEnded" ? [event.error?.message] : []
      )
      expect(errors[0]).toContain("closed the channel: it failed")
      expect(errors[1]).toMatch(/^the connection to alice with it was lost \(ECONNRESET|EPIPE\)$/)
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("that is cut in between looks whole to nobody", () =>
    Effect.gen(function* () {
      const { both, wires } = yield* rig({ pool: 0 })
      const { client, target } = yield* both
      yield* say(client.connection, "half a ")
      expect(yield* withTimeout("what came", readAtLeast(target.connection, 7))).toBe("half a ")
      yield* wires.at(-1)?.abort ?? Effect.void
      expect(yield* outcome(target.connection)).toBe("ECONNRESET")
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("holds the writer back while nobody reads, and loses nothing", () =>
    Effect.gen(function* () {
      const { both } = yield* rig()
      const { client, target } = yield* both
      const block = Buffer.alloc(64 * 1024, "b")
      const blocks = 1024
      let taken = 0
      const writing = yield* Effect.fork(
        Effect.zipRight(
          Effect.repeatN(
            Effect.tap(client.connection.write(block), () => Effect.sync(() => taken++)),
            blocks - 1
          ),
          client.connection.end
        )
      )
      const held = yield* settled(() => taken)
      expect(held).toBeLessThan(blocks)
      let got = 0
      for (
        let chunk = yield* target.connection.read;
        chunk !== undefined;
        chunk = yield* target.connection.read
      )
        got += chunk.length
      expect(got).toBe(blocks * block.length)
      yield* withTimeout("the writer", Fiber.join(writing))
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("says what stood in its way, and resets who came", () =>
    Effect.gen(function* () {
      const transport = yield* Transport
      // Nobody listens there any more.
      const gone = yield* Effect.scoped(
        Effect.map(
          transport.listen(tcp("127.0.0.1", 0), () => Effect.void),
          ({ address }) => address
        )
      )
      const { connect, ended, events } = yield* rig({ target: { address: gone } })
      const client = yield* connect
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
      yield* waitUntil("the end", () => ended.length === 1)
      expect(ended[0]?.message).toMatch(
        /^\S+ cannot connect to its target: connection refused; is the target running\?$/
      )
      yield* waitUntil("the server's word", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
        service: "tunnel it",
        counted: {},
        error: { _tag: "TargetUnreached" }
      })
    }).pipe(Effect.provide(layer))
  )
})

const memory = Effect.provide(Transport.layerMemory())

describe("the rules", () => {
  it.scopedLive.each([
    [["it"], true],
    [["other", "it"], true],
    [["other"], false],
    [["127.0.0.1:1"], false]
  ] as const)("target %j lets in or not: %s", ([targets, allowed]) =>
    Effect.gen(function* () {
      const { pool, events } = yield* rig({ rules: { targets } })
      const first = yield* Effect.either(withTimeout("the first channel", pool.firstAttempt))
      expect(first._tag === "Right").toBe(allowed)
      if (allowed) return
      expect(first).toMatchObject({ left: { _tag: "ChannelRefused" } })
      expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
        error: {
          reason: `its rules allow only the targets ${targets.join(", ")}, not it (list:1)`
        }
      })
    }).pipe(memory)
  )

  it.scopedLive("that are taken away end the connections they allowed", () =>
    Effect.gen(function* () {
      const { both, peers } = yield* rig({ rules: { targets: ["it"] } })
      const { client, target } = yield* both
      yield* say(client.connection, "hello")
      expect(yield* withTimeout("it", readAtLeast(target.connection, 5))).toBe("hello")
      const rules = rulesOf({ targets: ["other"] })
      expect(
        peers.replace(new PeerList([{ publicKey: alice.publicKey, name: "alice", rules, line: 1 }]))
      ).toBeGreaterThan(0)
      expect(yield* outcome(target.connection)).toBe("ECONNRESET")
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
    }).pipe(memory)
  )

  it.scopedLive("count connections in a minute, not channels that are kept ready", () =>
    Effect.gen(function* () {
      const { both, connect, ended } = yield* rig({ pool: 3, rules: { connectionsPerMinute: 2 } })
      yield* both
      yield* both
      const third = yield* connect
      expect(yield* outcome(third.connection)).toBe("ECONNRESET")
      yield* waitUntil("its end", () => ended.length === 1)
      expect(ended[0]).toMatchObject({ _tag: "ChannelRefused" })
    }).pipe(memory)
  )

  it.scopedLive("of bytes in a minute slow what comes, and lose nothing", () =>
    Effect.gen(function* () {
      const { both } = yield* rig({ rules: { bytesPerMinute: 60 * 1024 } })
      const { client, target } = yield* both
      let got = 0
      yield* Effect.fork(
        Effect.forever(Effect.map(target.connection.read, (chunk) => (got += chunk?.length ?? 0)))
      )
      for (let block = 0; block < 64; block++)
        yield* Effect.fork(client.connection.write(Buffer.alloc(1024 * 64, 1)))
      const held = yield* settled(() => got)
      expect(held).toBeGreaterThanOrEqual(60 * 1024)
      expect(held).toBeLessThan(1024 * 1024)
    }).pipe(memory)
  )
})

describe("channels kept ready", () => {
  it.scopedLive("cost the target no connection, and are there for who comes", () =>
    Effect.gen(function* () {
      const { pool, waiting, both, wires } = yield* rig({ pool: 3 })
      yield* waitUntil("three", () => pool.ready() === 3)
      yield* pause(50)
      expect(yield* waiting).toBe(0)
      expect(wires.length).toBe(3)
      yield* both
      // The next takes its place.
      yield* waitUntil("three again", () => pool.ready() === 3)
      expect(wires.length).toBe(4)
    }).pipe(memory)
  )

  it.scopedLive("are none where none are wanted, and the server was seen all the same", () =>
    Effect.gen(function* () {
      const { pool, both, wires } = yield* rig({ pool: 0 })
      yield* withTimeout("the first", pool.firstAttempt)
      yield* both
      expect([pool.ready(), wires.length]).toEqual([0, 2])
    }).pipe(memory)
  )

  it.scopedLive("come back with the server; who connects meanwhile waits", () =>
    Effect.gen(function* () {
      const { pool, server, serve, connect, next, told } = yield* rig({ pool: 2 })
      yield* waitUntil("two", () => pool.ready() === 2)
      yield* server.stop
      yield* waitUntil("none", () => pool.ready() === 0 && told.length === 1)
      expect(told).toEqual(["away: ConnectFailed"])
      const client = yield* connect
      yield* say(client.connection, "early")
      yield* serve(server.address)
      const target = yield* next
      expect(yield* withTimeout("what it said", readAtLeast(target.connection, 5))).toBe("early")
      yield* waitUntil("two again", () => pool.ready() === 2)
      expect(told).toEqual(["away: ConnectFailed", "back"])
      yield* client.connection.abort
    }).pipe(memory)
  )
})

describe("a server that is away", () => {
  it.scopedLive("for too long has who connects reset, and serves who comes later", () =>
    Effect.gen(function* () {
      const { pool, server, serve, connect, next, told } = yield* rig({
        pool: 1,
        patience: "300 millis"
      })
      yield* waitUntil("one", () => pool.ready() === 1)
      yield* server.stop
      yield* waitUntil("none", () => pool.ready() === 0 && told.length === 1)
      const client = yield* connect
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
      expect(told).toEqual(["away: ConnectFailed", "turned away: NoChannel"])
      yield* serve(server.address)
      yield* waitUntil("it to be back", () => pool.ready() === 1)
      const later = yield* connect
      yield* say(later.connection, "later")
      expect(yield* withTimeout("what it said", readAtLeast((yield* next).connection, 5))).toBe(
        "later"
      )
    }).pipe(memory)
  )
})

describe("a server that allows one channel at once", () => {
  it.scopedLive("is not away while that one is ready", () =>
    Effect.gen(function* () {
      const { pool, told, events, both } = yield* rig({ pool: 2, rules: { connections: 1 } })
      const refused = () =>
        events.filter((event) => event._tag === "SessionEnded" && event.error !== undefined).length
      yield* waitUntil("one ready, and another refused", () => pool.ready() === 1 && refused() >= 2)
      expect(told).toEqual([])
      yield* both
      // Now who comes has none.
      yield* waitUntil("the word", () => told.length === 1)
      expect(told).toEqual(["away: ChannelRefused"])
    }).pipe(memory)
  )
})

describe("a ready channel that has gone", () => {
  /** A near end to which the pool gives a channel that was cut when nobody looked. */
  const stale = Effect.gen(function* () {
    const made = yield* rig({ pool: 1 })
    yield* waitUntil("one", () => made.pool.ready() === 1)
    const lease = yield* made.pool.take
    const [wire] = made.wires
    yield* wire?.abort ?? Effect.void
    const ended: Array<string | undefined> = []
    const { address } = yield* TunnelClient.listen({
      address: anyPort,
      pool: { ...made.pool, take: Effect.succeed(lease) },
      onStarted: () => Effect.void,
      onEnded: (_, error) => Effect.sync(() => ended.push(error?._tag)),
      onRefused: () => Effect.void
    })
    const transport = yield* Transport
    return { ...made, ended, meet: transport.connect(address) }
  })

  it.scopedLive("costs no connection that has said nothing: another channel has it", () =>
    Effect.gen(function* () {
      const { meet, next, ended } = yield* stale
      const client = yield* meet
      const target = yield* next
      yield* say(client, "said later")
      yield* client.end
      expect(yield* withTimeout("all of it", ends(target.connection))).toBe("said later")
      yield* say(target.connection, "heard")
      yield* target.connection.end
      expect(yield* withTimeout("the answer", ends(client))).toBe("heard")
      yield* waitUntil("the end", () => ended.length === 1)
      expect(ended).toEqual([undefined])
    }).pipe(memory)
  )

  it.scopedLive("nor one that has said all there is with nothing: a half-close is kept", () =>
    Effect.gen(function* () {
      const { meet, next } = yield* stale
      const client = yield* meet
      yield* client.end
      const target = yield* next
      expect(yield* withTimeout("its end", ends(target.connection))).toBe("")
      yield* say(target.connection, "unasked")
      yield* target.connection.end
      expect(yield* withTimeout("the answer", ends(client))).toBe("unasked")
    }).pipe(memory)
  )
})

describe("a plain side that has gone after its half-close", () => {
  it.scoped("is noticed though nobody reads or writes", () =>
    Effect.gen(function* () {
      const { server } = yield* rig({ pool: 0 })
      const channel = yield* dial(
        { address: server.address, keys: clientKeys(suiteOf("IK")), checkServer: acceptAnyServer },
        "tunnel it"
      )
      let gone = false
      let resets = 0
      const flow: Flow = {
        start: ({ end }) => end(),
        stop: () => {},
        pause: () => {},
        resume: () => {},
        write: () => true,
        release: () => {},
        end: () => {},
        reset: () => resets++,
        isResetByPeer: () => gone
      }
      yield* untilOffered(channel)
      const carried = yield* Effect.fork(
        Effect.flip(TunnelClient.forward({ peer: "a program", flow }, channel, {}))
      )
      for (let looks = 0; looks < 20; looks++)
        yield* Effect.zipRight(TestClock.adjust("15 seconds"), pause(2))
      expect([(yield* carried.poll)._tag, resets]).toEqual(["None", 0])
      gone = true
      yield* TestClock.adjust("15 seconds")
      expect(yield* withTimeout("the news", Fiber.join(carried))).toMatchObject({
        _tag: "ConnectionLost",
        code: "ECONNRESET"
      })
      expect(resets).toBe(1)
    }).pipe(memory)
  )
})

describe("the limits", () => {
  it.scopedLive(
    "of new connections and of connections at once reset the newcomer, and nobody else",
    () =>
      Effect.gen(function* () {
        const few = yield* rig({ near: { connections: 1 } })
        const { client, target } = yield* few.both
        expect(yield* outcome((yield* few.connect).connection)).toBe("ECONNRESET")
        yield* say(client.connection, "still")
        expect(yield* withTimeout("it", readAtLeast(target.connection, 5))).toBe("still")

        const slow = yield* rig({ near: { newPerSecond: 0 } })
        expect(yield* outcome((yield* slow.connect).connection)).toBe("ECONNRESET")
        expect(slow.told).toEqual(["turned away: rate"])
      }).pipe(memory)
  )

  it.scopedLive.each(["near", "far"])("of silence at the %s end ends both sides", (where) =>
    Effect.gen(function* () {
      const silence = { idle: "400 millis" } as const
      const { both, ended } = yield* rig(where === "far" ? silence : { near: silence as never })
      const { client, target } = yield* both
      for (let turn = 0; turn < 8; turn++) {
        yield* pause(100)
        yield* say(client.connection, ".")
      }
      expect(yield* withTimeout("what kept it", readAtLeast(target.connection, 8))).toBe("........")
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
      expect(yield* outcome(target.connection)).toBe("ECONNRESET")
      yield* waitUntil("the word", () => ended.length === 1)
    }).pipe(memory)
  )
})

describe("what breaks the protocol of a tunnel", () => {
  const go = encode("go")
  it.scopedLive.each([
    ["bytes before go", [Buffer.from("early")]],
    ["an unknown word", [new Control(Buffer.from([0x77]))]],
    ["a word of the other side", [new Control(encode("connected"))]],
    ["a second go", [new Control(go), new Control(go)]]
  ] as const)("%s cuts the connection", ([, said]) =>
    Effect.gen(function* () {
      const { server, events } = yield* rig({ pool: 0 })
      const before = () => events.filter(({ _tag }) => _tag === "SessionEnded").length
      yield* waitUntil("the first look", () => before() === 1)
      const channel = yield* dial(
        { address: server.address, keys: clientKeys(suiteOf("IK")), checkServer: acceptAnyServer },
        "tunnel it"
      )
      for (const item of said)
        yield* item instanceof Control ? channel.sendControl(item.body) : channel.write(item)
      yield* waitUntil("the end", () => before() === 2)
      expect(events.at(-1)).toMatchObject({ error: { _tag: "ChannelTampered" } })
    }).pipe(memory)
  )
})

describe("a server that stops", () => {
  it.scopedLive("closes what waits, and lets what stands finish", () =>
    Effect.gen(function* () {
      const { both, server, pool, events, ended } = yield* rig({ pool: 1 })
      const { client, target } = yield* both
      yield* waitUntil("one more", () => pool.ready() === 1)
      yield* server.stop
      yield* waitUntil("the one that waited", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      expect(events.find(({ _tag }) => _tag === "SessionEnded")).toMatchObject({
        counted: {},
        error: undefined
      })
      yield* say(client.connection, "to the end")
      yield* client.connection.end
      expect(yield* withTimeout("all of it", ends(target.connection))).toBe("to the end")
      yield* target.connection.end
      yield* waitUntil("its end", () => ended.length === 1)
      expect(ended).toEqual([undefined])
    }).pipe(memory)
  )
})
