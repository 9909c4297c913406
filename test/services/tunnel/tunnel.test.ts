// A tunnel from end to end, over memory and over real sockets: each action of one program reaches
// the other.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../../src/channel/Channel.ts"
import { Control } from "../../../src/channel/ChannelItem.ts"
import { RecordType } from "../../../src/channel/ChannelRecord.ts"
import { Outbound } from "../../../src/channel/Outbound.ts"
import { none as noPadding } from "../../../src/channel/Padding.ts"
import { application } from "../../../src/services/Service.ts"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { rulesOf } from "../../peers/rulesOf.ts"
import { dial } from "../../../src/services/Dial.ts"
import * as TunnelClient from "../../../src/services/tunnel/TunnelClient.ts"
import { untilOffered } from "../../../src/services/tunnel/ChannelPool.ts"
import { encode } from "../../../src/services/tunnel/Messages.ts"
import type { Connection, Flow } from "../../../src/transports/Connection.ts"
import { tcp } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { alice, dialKeys, anyPort, layerFasterClock, suiteOf } from "../../channel/rig.ts"
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

const send = ({ write }: Connection, text: string) => write(Buffer.from(text))
const readToEnd = (connection: Connection) =>
  Effect.map(readAll(connection), (bytes) => bytes.toString())
/** Reads to the end; returns "end", or the code of the error. */
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
  it.scopedLive("forwards half-close in both directions, whichever side ends first", () =>
    Effect.gen(function* () {
      const { both, ended } = yield* rig()
      for (const first of ["client", "target"] as const) {
        const { client, target } = yield* both
        const [one, other] = first === "client" ? [client, target] : [target, client]
        yield* send(one.connection, "all bytes")
        yield* one.connection.end
        expect(yield* withTimeout("the first end", readToEnd(other.connection))).toBe("all bytes")
        // The other direction stays open.
        yield* pause(20)
        yield* send(other.connection, "the other ")
        yield* pause(20)
        yield* send(other.connection, "direction")
        yield* other.connection.end
        expect(yield* withTimeout("the second end", readToEnd(one.connection))).toBe(
          "the other direction"
        )
        yield* target.close()
        yield* client.close()
      }
      yield* waitUntil("both ends", () => ended.length === 2)
      expect(ended).toEqual([undefined, undefined])
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("forwards a reset from either side", () =>
    Effect.gen(function* () {
      const { both, ended, events } = yield* rig({ pool: 0 })
      for (const first of ["client", "target"] as const) {
        const { client, target } = yield* both
        const [one, other] = first === "client" ? [client, target] : [target, client]
        yield* send(other.connection, "hello")
        expect(yield* withTimeout("the greeting", readAtLeast(one.connection, 5))).toBe("hello")
        yield* one.connection.abort
        expect(yield* outcome(other.connection)).toBe("ECONNRESET")
        yield* target.close(failed)
        yield* client.close(failed)
      }
      yield* waitUntil("both ends", () => ended.length === 2)
      // The near end saw the reset of its socket first, then a close code of the server.
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

  it.scopedLive("resets both sides when its channel is cut", () =>
    Effect.gen(function* () {
      const { both, wires } = yield* rig({ pool: 0 })
      const { client, target } = yield* both
      yield* send(client.connection, "half a ")
      expect(yield* withTimeout("the bytes", readAtLeast(target.connection, 7))).toBe("half a ")
      yield* wires.at(-1)?.abort ?? Effect.void
      expect(yield* outcome(target.connection)).toBe("ECONNRESET")
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("applies back-pressure while the reader stalls, and loses no byte", () =>
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

  it.scopedLive("resets the program and reports the reason when the target is unreachable", () =>
    Effect.gen(function* () {
      const transport = yield* Transport
      // An address without a listener.
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
      yield* waitUntil("the server's event", () =>
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
  ] as const)("target %j allows the tunnel: %s", ([targets, allowed]) =>
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

  it.scopedLive("end open connections when they no longer allow them", () =>
    Effect.gen(function* () {
      const { both, peers } = yield* rig({ rules: { targets: ["it"] } })
      const { client, target } = yield* both
      yield* send(client.connection, "hello")
      expect(yield* withTimeout("it", readAtLeast(target.connection, 5))).toBe("hello")
      const rules = rulesOf({ targets: ["other"] })
      expect(
        peers.replace(new PeerList([{ publicKey: alice.publicKey, name: "alice", rules, line: 1 }]))
      ).toBeGreaterThan(0)
      expect(yield* outcome(target.connection)).toBe("ECONNRESET")
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
    }).pipe(memory)
  )

  it.scopedLive("limit connections per minute, and do not count ready channels", () =>
    Effect.gen(function* () {
      const { both, connect, ended } = yield* rig({ pool: 3, rules: { connectionsPerMinute: 2 } })
      yield* both
      yield* both
      const third = yield* connect
      expect(yield* outcome(third.connection)).toBe("ECONNRESET")
      yield* waitUntil("the end", () => ended.length === 1)
      expect(ended[0]).toMatchObject({ _tag: "ChannelRefused" })
    }).pipe(memory)
  )

  it.scopedLive("limit bytes per minute by slowing the client down", () =>
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

  it.scopedLive("limit bytes per minute by slowing the target down, to the rate itself", () =>
    Effect.gen(function* () {
      const perMinute = 12 * 1024 * 1024
      const times = 4
      const { both } = yield* rig({ rules: { bytesPerMinute: perMinute } })
      const { client, target } = yield* both
      let got = 0
      yield* Effect.fork(
        Effect.forever(Effect.map(client.connection.read, (chunk) => (got += chunk?.length ?? 0)))
      )
      yield* Effect.fork(
        Effect.forever(Effect.suspend(() => target.connection.write(Buffer.alloc(1024 * 64, 1))))
      )
      yield* waitUntil("the allowance", () => got >= perMinute)
      // What was under way is counted already.
      yield* pause(1500 / times)
      const [before, startedAt] = [got, performance.now()]
      yield* pause(2000 / times)
      const seconds = ((performance.now() - startedAt) / 1000) * times
      const rate = (got - before) / seconds
      // A pause of a second for each chunk of 64 KiB would be a third of the rate.
      expect(rate).toBeGreaterThan((perMinute / 60) * 0.5)
      expect(rate).toBeLessThan((perMinute / 60) * 1.5)
    }).pipe(memory, Effect.provide(layerFasterClock(4)))
  )
})

describe("bytes per minute", () => {
  const block = Buffer.alloc(64 * 1024, 1)
  /** Opens a tunnel, and sends `early` blocks with `go`. Both ends then send without pause. */
  const busy = ({ server, next }: Effect.Effect.Success<ReturnType<typeof rig>>, early: number) =>
    Effect.gen(function* () {
      const channel = yield* dial(
        { address: server.address, keys: dialKeys(suiteOf("IK")) },
        "tunnel it"
      )
      // A paused server does not see an orderly close.
      yield* Effect.addFinalizer(() => channel.reset)
      yield* channel.sendControl(encode("go"))
      const passed = { toTarget: 0, toClient: 0 }
      const sendBlock = Effect.suspend(() => channel.write(block))
      yield* Effect.fork(Effect.zipRight(Effect.replicateEffect(sendBlock, early), Effect.never))
      const { connection } = yield* next
      yield* Effect.forkScoped(Effect.forever(Effect.suspend(() => connection.write(block))))
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.map(connection.read, (chunk) => (passed.toTarget += chunk?.length ?? 0))
        )
      )
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.map(channel.read, (item) => {
            if (item instanceof Uint8Array) passed.toClient += item.length
          })
        )
      )
      return passed
    })

  it.scopedLive.each(layers)(
    "holds when bytes arrive before the target does, and for a second tunnel, over %s",
    ([, layer]) =>
      Effect.gen(function* () {
        // One record exceeds it by so much that no other follows for half a minute.
        const allowance = 40 * 1024
        const tunnels = yield* rig({ pool: 0, rules: { bytesPerMinute: allowance } })
        const first = yield* busy(tunnels, 16)
        yield* waitUntil("the allowance", () => first.toTarget + first.toClient > allowance)
        yield* pause(300)
        const all = first.toTarget + first.toClient
        expect(all).toBeLessThan(512 * 1024)
        const second = yield* busy(tunnels, 1)
        yield* pause(300)
        expect(second).toEqual({ toTarget: 0, toClient: 0 })
        expect(first.toTarget + first.toClient).toBe(all)
        // A listener waits 10 seconds for the connections that its limit holds.
      }).pipe(Effect.provide(Layer.merge(layer, layerFasterClock(8))))
  )
})

describe("ready channels", () => {
  it.scopedLive("do not connect to the target before they are used", () =>
    Effect.gen(function* () {
      const { pool, waiting, both, wires } = yield* rig({ pool: 3 })
      yield* waitUntil("three", () => pool.ready() === 3)
      yield* pause(50)
      expect(yield* waiting).toBe(0)
      expect(wires.length).toBe(3)
      yield* both
      // A used channel is replaced.
      yield* waitUntil("three again", () => pool.ready() === 3)
      expect(wires.length).toBe(4)
    }).pipe(memory)
  )

  it.scopedLive("are not kept with size 0, after one attempt to reach the server", () =>
    Effect.gen(function* () {
      const { pool, both, wires } = yield* rig({ pool: 0 })
      yield* withTimeout("the first", pool.firstAttempt)
      yield* both
      expect([pool.ready(), wires.length]).toEqual([0, 2])
    }).pipe(memory)
  )

  it.scopedLive("are opened again when the server is back; connections wait meanwhile", () =>
    Effect.gen(function* () {
      const { pool, server, serve, connect, next, reports } = yield* rig({ pool: 2 })
      yield* waitUntil("two", () => pool.ready() === 2)
      yield* server.stop
      yield* waitUntil("none", () => pool.ready() === 0 && reports.length === 1)
      expect(reports).toEqual(["unavailable: ConnectFailed"])
      const client = yield* connect
      yield* send(client.connection, "early")
      yield* serve(server.address)
      const target = yield* next
      expect(yield* withTimeout("the bytes", readAtLeast(target.connection, 5))).toBe("early")
      yield* waitUntil("two again", () => pool.ready() === 2)
      expect(reports).toEqual(["unavailable: ConnectFailed", "available"])
      yield* client.connection.abort
    }).pipe(memory)
  )
})

describe("an unreachable server", () => {
  it.scopedLive(
    "makes waiting connections fail after the timeout, and serves later ones when it is back",
    () =>
      Effect.gen(function* () {
        const { pool, server, serve, connect, next, reports } = yield* rig({
          pool: 1,
          takeTimeout: "300 millis"
        })
        yield* waitUntil("one", () => pool.ready() === 1)
        yield* server.stop
        yield* waitUntil("none", () => pool.ready() === 0 && reports.length === 1)
        const client = yield* connect
        expect(yield* outcome(client.connection)).toBe("ECONNRESET")
        expect(reports).toEqual(["unavailable: ConnectFailed", "refused: NoChannel"])
        yield* serve(server.address)
        yield* waitUntil("the server to return", () => pool.ready() === 1)
        const later = yield* connect
        yield* send(later.connection, "later")
        expect(yield* withTimeout("the bytes", readAtLeast((yield* next).connection, 5))).toBe(
          "later"
        )
      }).pipe(memory)
  )
})

describe("a server that allows one channel", () => {
  it.scopedLive("counts as available while that channel is ready", () =>
    Effect.gen(function* () {
      const { pool, reports, events, both } = yield* rig({ pool: 2, rules: { connections: 1 } })
      const refused = () => events.filter((event) => event._tag === "ConnectionRefused").length
      yield* waitUntil("one ready, and another refused", () => pool.ready() === 1 && refused() >= 2)
      expect(reports).toEqual([])
      yield* both
      // Now no channel is left.
      yield* waitUntil("the report", () => reports.length === 1)
      expect(reports).toEqual(["unavailable: ChannelRefused"])
    }).pipe(memory)
  )
})

describe("a stale ready channel", () => {
  /** A near end whose pool lends a channel that was cut while it was ready. */
  const stale = Effect.gen(function* () {
    const fixture = yield* rig({ pool: 1 })
    yield* waitUntil("one", () => fixture.pool.ready() === 1)
    const lease = yield* fixture.pool.take
    const [wire] = fixture.wires
    yield* wire?.abort ?? Effect.void
    const ended: Array<string | undefined> = []
    const { address } = yield* TunnelClient.listen({
      address: anyPort,
      pool: { ...fixture.pool, take: Effect.succeed(lease) },
      onStarted: () => Effect.void,
      onEnded: (_, error) => Effect.sync(() => ended.push(error?._tag)),
      onRefused: () => Effect.void
    })
    const transport = yield* Transport
    return { ...fixture, ended, connect: transport.connect(address) }
  })

  it.scopedLive("is replaced for a connection that has sent nothing", () =>
    Effect.gen(function* () {
      const { connect, next, ended } = yield* stale
      const client = yield* connect
      const target = yield* next
      yield* send(client, "sent later")
      yield* client.end
      expect(yield* withTimeout("all of it", readToEnd(target.connection))).toBe("sent later")
      yield* send(target.connection, "answered")
      yield* target.connection.end
      expect(yield* withTimeout("the answer", readToEnd(client))).toBe("answered")
      yield* waitUntil("the end", () => ended.length === 1)
      expect(ended).toEqual([undefined])
    }).pipe(memory)
  )

  it.scopedLive("is replaced for a connection that has only ended its stream", () =>
    Effect.gen(function* () {
      const { connect, next } = yield* stale
      const client = yield* connect
      yield* client.end
      const target = yield* next
      expect(yield* withTimeout("the end", readToEnd(target.connection))).toBe("")
      yield* send(target.connection, "unasked")
      yield* target.connection.end
      expect(yield* withTimeout("the answer", readToEnd(client))).toBe("unasked")
    }).pipe(memory)
  )
})

describe("a plain side that is reset after its half-close", () => {
  it.scoped("is noticed without a read or write", () =>
    Effect.gen(function* () {
      const { server } = yield* rig({ pool: 0 })
      const channel = yield* dial(
        { address: server.address, keys: dialKeys(suiteOf("IK")) },
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
      for (let checks = 0; checks < 20; checks++)
        yield* Effect.zipRight(TestClock.adjust("15 seconds"), pause(2))
      expect([(yield* carried.poll)._tag, resets]).toEqual(["None", 0])
      gone = true
      yield* TestClock.adjust("15 seconds")
      expect(yield* withTimeout("the error", Fiber.join(carried))).toMatchObject({
        _tag: "ConnectionLost",
        code: "ECONNRESET"
      })
      expect(resets).toBe(1)
    }).pipe(memory)
  )
})

describe("the limits", () => {
  it.scopedLive("of connections and of new connections per second reset only the newest", () =>
    Effect.gen(function* () {
      const few = yield* rig({ near: { connections: 1 } })
      const { client, target } = yield* few.both
      expect(yield* outcome((yield* few.connect).connection)).toBe("ECONNRESET")
      yield* send(client.connection, "still")
      expect(yield* withTimeout("it", readAtLeast(target.connection, 5))).toBe("still")

      const slow = yield* rig({ near: { newPerSecond: 0 } })
      expect(yield* outcome((yield* slow.connect).connection)).toBe("ECONNRESET")
      expect(slow.reports).toEqual(["refused: rate"])
    }).pipe(memory)
  )

  it.scopedLive.each(["near", "far"])("of idle time at the %s end resets both sides", (where) =>
    Effect.gen(function* () {
      const silence = { idle: "400 millis" } as const
      const { both, ended } = yield* rig(where === "far" ? silence : { near: silence as never })
      const { client, target } = yield* both
      for (let turn = 0; turn < 8; turn++) {
        yield* pause(100)
        yield* send(client.connection, ".")
      }
      expect(yield* withTimeout("what kept it", readAtLeast(target.connection, 8))).toBe("........")
      expect(yield* outcome(client.connection)).toBe("ECONNRESET")
      expect(yield* outcome(target.connection)).toBe("ECONNRESET")
      yield* waitUntil("the report", () => ended.length === 1)
    }).pipe(memory)
  )
})

describe("a protocol violation", () => {
  const go = encode("go")
  it.scopedLive.each([
    ["bytes before go", [Buffer.from("early")]],
    ["an unknown message", [new Control(Buffer.from([0x77]))]],
    ["a message of the other side", [new Control(encode("connected"))]],
    ["a second go", [new Control(go), new Control(go)]]
  ] as const)("%s ends the channel", ([, items]) =>
    Effect.gen(function* () {
      const { server, events } = yield* rig({ pool: 0 })
      const before = () => events.filter(({ _tag }) => _tag === "SessionEnded").length
      yield* waitUntil("the first look", () => before() === 1)
      const channel = yield* dial(
        { address: server.address, keys: dialKeys(suiteOf("IK")) },
        "tunnel it"
      )
      for (const item of items)
        yield* item instanceof Control ? channel.sendControl(item.body) : channel.write(item)
      yield* waitUntil("the end", () => before() === 2)
      expect(events.at(-1)).toMatchObject({ error: { _tag: "ChannelTampered" } })
    }).pipe(memory)
  )
})

describe("a failure in one burst with go", () => {
  it.scopedLive.each([
    ["a second go", [[RecordType.Control, encode("go")]]],
    ["a cut", []]
  ] as const)("%s: the target is reset, and never sees an end", ([, records]) =>
    Effect.gen(function* () {
      const { server, next } = yield* rig({ pool: 0 })
      const { connect } = yield* Transport
      const connection = yield* connect(server.address)
      const keys = { ...dialKeys(suiteOf("IK")), application }
      const { send } = yield* Channel.initiate(connection, keys)
      connection.flow.start({ bytes: () => {}, drained: () => {}, end: () => {}, lost: () => {} })
      const out = new Outbound(send, noPadding, (bytes) => connection.flow.write(bytes))
      out.record(RecordType.Ready, Buffer.from("tunnel it"))
      out.record(RecordType.Control, encode("go"))
      for (const [type, body] of records) out.record(type, body)
      out.flush()
      connection.flow.end()
      const { connection: target } = yield* next
      expect(yield* outcome(target)).toBe("ECONNRESET")
    }).pipe(Effect.provide(Transport.layerNet))
  )
})

describe("a server that stops", () => {
  it.scopedLive("closes ready channels and lets open connections finish", () =>
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
      yield* send(client.connection, "to the end")
      yield* client.connection.end
      expect(yield* withTimeout("all of it", readToEnd(target.connection))).toBe("to the end")
      yield* target.connection.end
      yield* waitUntil("the end", () => ended.length === 1)
      expect(ended).toEqual([undefined])
    }).pipe(memory)
  )
})
