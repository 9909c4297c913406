// Channels that carry several connections, one after another: TUNNEL.md section 4.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { Control, type Channel, type ChannelItem } from "../../../src/channel/Channel.ts"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { dial } from "../../../src/services/Dial.ts"
import type { ServerEvent } from "../../../src/services/Server.ts"
import { limits as serverLimits } from "../../../src/services/limits.ts"
import { limits } from "../../../src/services/tunnel/ChannelPool.ts"
import { decode, encode } from "../../../src/services/tunnel/Messages.ts"
import type { Address } from "../../../src/transports/Address.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/index.ts"
import {
  nextTurn,
  pause,
  readAll,
  readAtLeast,
  waitUntil,
  withTimeout
} from "../../../src/testing/steps.ts"
import { alice, dialKeys, suiteOf } from "../../channel/rig.ts"
import { rulesOf } from "../../peers/rulesOf.ts"
import { failed, rig, type End } from "./tunnelRig.ts"

const layers = [
  ["memory", Transport.layerMemory()],
  ["sockets", Transport.layerNet]
] as const
const memory = Effect.provide(Transport.layerMemory())

const send = ({ write }: Connection, text: string) => write(Buffer.from(text))
const toEnd = (what: string, { connection }: End) =>
  withTimeout(
    what,
    Effect.map(readAll(connection), (bytes) => bytes.toString())
  )
/** Reads to the end; returns "end", or the code of the error. */
const outcome = ({ connection }: End) =>
  withTimeout(
    "the end",
    Effect.match(readAll(connection), { onFailure: ({ code }) => code, onSuccess: () => "end" })
  )

/** A request and an answer, with a half-close after each; `first` ends first. */
const exchange = (
  { client, target }: { readonly client: End; readonly target: End },
  text: string,
  first: "client" | "target" = "client"
) =>
  Effect.gen(function* () {
    const [one, other] = first === "client" ? [client, target] : [target, client]
    yield* send(one.connection, `${text}, 1`)
    yield* one.connection.end
    expect(yield* toEnd("the first end", other)).toBe(`${text}, 1`)
    yield* send(other.connection, `${text}, 2`)
    yield* other.connection.end
    expect(yield* toEnd("the second end", one)).toBe(`${text}, 2`)
    yield* target.close()
    yield* client.close()
  })

const endsOf = (events: ReadonlyArray<ServerEvent>) =>
  events.flatMap((event) => (event._tag === "SessionEnded" ? [event] : []))

/** The ends of sessions that have carried a connection. */
const carried = (events: ReadonlyArray<ServerEvent>) =>
  endsOf(events).filter(({ counted }) => counted.connections === 1)

describe.each(layers)("a channel that is used again over %s", (_, layer) => {
  it.scopedLive("carries connections one after another, whichever side ends first", () =>
    Effect.gen(function* () {
      const { both, pool, wires, ended, events } = yield* rig({ isReused: true })
      for (const [index, first] of (["client", "target", "client"] as const).entries()) {
        yield* exchange(yield* both, `number ${index}`, first)
        yield* waitUntil("its return", () => ended.length === index + 1 && pool.ready() >= 1)
        yield* pause(40)
      }
      expect(ended).toEqual([undefined, undefined, undefined])
      // The first was replaced while it was in use; both channels then lasted.
      expect(wires.length).toBeLessThanOrEqual(2)
      // Each connection is a session of its own, with its own counts.
      expect(
        endsOf(events).map(({ counted, error, service }) => [counted, error, service])
      ).toEqual(
        Array.from({ length: 3 }, () => [
          { connections: 1, bytesIn: 11, bytesOut: 11 },
          undefined,
          "tunnel it"
        ])
      )
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("is closed after a reset of either side, and another one takes its place", () =>
    Effect.gen(function* () {
      const { both, pool, wires, ended } = yield* rig({ isReused: true })
      for (const side of ["client", "target"] as const) {
        const { client, target } = yield* both
        const [one, other] = side === "client" ? [client, target] : [target, client]
        yield* send(other.connection, "hello")
        yield* withTimeout("the greeting", readAtLeast(one.connection, 5))
        yield* one.connection.abort
        expect(yield* outcome(other)).toBe("ECONNRESET")
        yield* target.close(failed)
        yield* client.close(failed)
      }
      yield* waitUntil("the ends", () => ended.length === 2 && pool.ready() === 1)
      yield* exchange(yield* both, "after them")
      yield* waitUntil("the end", () => ended.length === 3)
      expect(ended.map((error) => error === undefined)).toEqual([false, false, true])
      expect(wires.length).toBeGreaterThanOrEqual(3)
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("is not offered again before the target has taken everything", () =>
    Effect.gen(function* () {
      const { both, pool, ended } = yield* rig({ isReused: true })
      const { client, target } = yield* both
      yield* waitUntil("the replacement", () => pool.ready() === 1)
      yield* target.connection.end
      expect(yield* toEnd("the target's end", client)).toBe("")
      const block = Buffer.alloc(256 * 1024, "b")
      // More than the buffers of a socket hold.
      const blocks = 64
      yield* Effect.fork(
        Effect.zipRight(
          Effect.replicateEffect(
            Effect.suspend(() => client.connection.write(block)),
            blocks
          ),
          client.connection.end
        )
      )
      yield* pause(100)
      // Another connection does not wait for it.
      yield* exchange(yield* both, "beside it")
      yield* waitUntil("the return of that one", () => ended.length === 1 && pool.ready() === 2)
      yield* pause(50)
      expect([ended, pool.ready()]).toEqual([[undefined], 2])
      const all = yield* withTimeout("all of it", readAll(target.connection))
      expect(all.length).toBe(blocks * block.length)
      yield* target.close()
      yield* client.close()
      yield* waitUntil("its return", () => ended.length === 2 && pool.ready() === 3)
    }).pipe(Effect.provide(layer))
  )
})

describe("the rules at each connection", () => {
  it.scopedLive("count connections per minute, on one channel too", () =>
    Effect.gen(function* () {
      const { both, connect, ended } = yield* rig({
        isReused: true,
        rules: { connectionsPerMinute: 2 }
      })
      for (const text of ["one", "two"]) yield* exchange(yield* both, text)
      yield* waitUntil("both ends", () => ended.length === 2)
      expect(yield* outcome(yield* connect)).toBe("ECONNRESET")
      yield* waitUntil("the end", () => ended.length === 3)
      expect(ended[2]).toMatchObject({ _tag: "ChannelRefused" })
    }).pipe(memory)
  )

  it.scopedLive("end a returned channel when its key is removed", () =>
    Effect.gen(function* () {
      const { both, connect, pool, peers, ended, events, waiting } = yield* rig({
        isReused: true,
        takeTimeout: "300 millis"
      })
      yield* exchange(yield* both, "allowed")
      yield* waitUntil("its return", () => ended.length === 1 && pool.ready() >= 1)
      expect(peers.replace(new PeerList([]))).toBeGreaterThan(0)
      yield* waitUntil("its loss", () => pool.ready() === 0)
      expect(yield* outcome(yield* connect)).toBe("ECONNRESET")
      expect(yield* waiting).toBe(0)
      expect(endsOf(events).map(({ error }) => error?._tag)).toContain("Expelled")
    }).pipe(memory)
  )

  it.scopedLive("are those of the list in force before each offer", () =>
    Effect.gen(function* () {
      const { server, next, peers } = yield* rig({ pool: 0 })
      const channel = yield* openReused(server.address)
      yield* channel.sendControl(encode("go"))
      const { connection, close } = yield* next
      expect(nameOf(yield* channel.read)).toBe("connected")
      // It ends no open session, and allows no new one.
      const rules = rulesOf({ connections: 0 })
      const list = new PeerList([{ publicKey: alice.publicKey, name: "alice", rules, line: 1 }])
      expect(peers.replace(list)).toBe(0)
      yield* endBoth(channel, connection)
      yield* close()
      expect(nameOf(yield* channel.read)).toBe("end")
      expect(yield* withTimeout("the refusal", Effect.flip(channel.read))).toMatchObject({
        _tag: "ChannelRefused"
      })
    }).pipe(memory)
  )
})

/** The channel of a client of our own, when it is offered. */
const openReused = (address: Address) =>
  Effect.gen(function* () {
    const channel = yield* dial({ address, keys: dialKeys(suiteOf("IK")) }, "tunnel it +reuse")
    expect(nameOf(yield* channel.read)).toBe("offered")
    return channel
  })

const nameOf = (item: ChannelItem | undefined) =>
  item instanceof Control ? decode(item.body) : item === undefined ? "closed" : "data"

const endBoth = (channel: Channel, target: Connection) =>
  Effect.gen(function* () {
    yield* channel.sendControl(encode("end"))
    yield* withTimeout("the client's end", readAll(target))
    yield* target.end
  })

describe("the limits", () => {
  /** Lets the timers of a TestClock and the sockets in memory run. */
  const advance = (millis: number) =>
    Effect.zipRight(TestClock.adjust(millis), Effect.repeatN(nextTurn, 20))

  it.scoped("close a channel that has carried a connection after two minutes", () =>
    Effect.gen(function* () {
      const { both, pool, wires, ended, events } = yield* rig({ isReused: true })
      yield* exchange(yield* both, "early")
      yield* waitUntil("its return", () => ended.length === 1 && pool.ready() >= 1)
      const before = wires.length
      for (let at = 0; at <= limits.reuseMillis; at += limits.clockCheckMillis)
        yield* advance(limits.clockCheckMillis)
      yield* waitUntil("another channel", () => wires.length > before)
      yield* waitUntil("its readiness", () => pool.ready() === 1)
      const last = yield* both
      // It grows old while it carries a connection, whose end it does not disturb.
      yield* advance(limits.reuseMillis)
      yield* exchange(last, "late")
      yield* waitUntil("the end", () => ended.length === 2)
      expect(ended).toEqual([undefined, undefined])
      yield* waitUntil("the sessions", () => carried(events).length === 2)
      yield* pause(50)
      // The server takes the close of a channel for no failure of another session.
      expect(endsOf(events).flatMap(({ error }) => error?.message ?? [])).toEqual([])
    }).pipe(memory)
  )

  it.scoped("let the server close it in place of a late offer", () =>
    Effect.gen(function* () {
      const { server, next } = yield* rig({ pool: 0 })
      const channel = yield* openReused(server.address)
      const carry = Effect.gen(function* () {
        yield* channel.sendControl(encode("go"))
        const { connection, close } = yield* next
        expect(nameOf(yield* channel.read)).toBe("connected")
        yield* endBoth(channel, connection)
        yield* close()
        expect(nameOf(yield* channel.read)).toBe("end")
        return nameOf(yield* withTimeout("the next item", channel.read))
      })
      expect(yield* carry).toBe("offered")
      yield* advance(serverLimits.reuseMillis)
      expect(yield* carry).toBe("closed")
    }).pipe(memory)
  )

  it.scoped("close the channels of a burst that nobody has needed since", () =>
    Effect.gen(function* () {
      const { both, pool, ended } = yield* rig({ isReused: true, pool: 1 })
      const burst = yield* Effect.replicateEffect(both, 6)
      yield* Effect.forEach(burst, (ends, index) => exchange(ends, `${index} of a burst`))
      yield* waitUntil("their return", () => ended.length === 6 && pool.ready() >= 6)
      yield* advance(limits.clockCheckMillis)
      yield* advance(limits.clockCheckMillis)
      yield* waitUntil("one ready", () => pool.ready() === 1)
    }).pipe(memory)
  )

  it.scopedLive("keep no channel in a pool of size 0", () =>
    Effect.gen(function* () {
      const { both, pool, ended } = yield* rig({ isReused: true, pool: 0 })
      yield* exchange(yield* both, "once")
      yield* waitUntil("its end", () => ended.length === 1)
      yield* pause(50)
      expect(pool.ready()).toBe(0)
    }).pipe(memory)
  )
})

describe("a client that closes the channel after its connection", () => {
  it.scopedLive("begins no other session, and fails none", () =>
    Effect.gen(function* () {
      const { server, next, events } = yield* rig({ pool: 0 })
      const before = endsOf(events).length
      const target = yield* Effect.scoped(
        Effect.gen(function* () {
          const channel = yield* openReused(server.address)
          yield* channel.sendControl(encode("go"))
          const { connection, close } = yield* next
          expect(nameOf(yield* channel.read)).toBe("connected")
          yield* connection.end
          expect(nameOf(yield* channel.read)).toBe("end")
          yield* channel.sendControl(encode("end"))
          return { connection, close }
        })
      )
      yield* withTimeout("the client's end", readAll(target.connection))
      yield* target.close()
      yield* waitUntil("the end of the session", () => carried(events).length === 1)
      yield* pause(50)
      const ends = endsOf(events).slice(before)
      expect(ends.map(({ error }) => error)).toEqual(ends.map(() => undefined))
      expect(ends.filter(({ counted }) => counted.connections === 1).length).toBe(1)
    }).pipe(memory)
  )
})

describe("a server that stops", () => {
  it.scopedLive("does not offer the channel of the last connection again", () =>
    Effect.gen(function* () {
      const { both, server, pool, ended, events } = yield* rig({ isReused: true })
      const ends = yield* both
      yield* waitUntil("one more", () => pool.ready() === 1)
      yield* server.stop
      yield* waitUntil("its end", () => pool.ready() === 0)
      yield* exchange(ends, "to the end")
      yield* waitUntil("the end", () => ended.length === 1)
      expect(ended).toEqual([undefined])
      yield* waitUntil("the sessions", () => endsOf(events).length === 2)
      yield* pause(50)
      const started = events.filter(({ _tag }) => _tag === "SessionStarted")
      expect(started.length).toBe(2)
    }).pipe(memory)
  )
})
