// Keepalive under TestClock: PING after 25 seconds, dead after three misses, and never because of a
// slow reader.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Channel from "../../src/channel/Channel.ts"
import { RecordType } from "../../src/channel/ChannelRecord.ts"
import { Inbound } from "../../src/channel/Inbound.ts"
import { limits } from "../../src/channel/limits.ts"
import { Outbound } from "../../src/channel/Outbound.ts"
import { none as noPadding } from "../../src/channel/Padding.ts"
import type { Connection } from "../../src/transports/Connection.ts"
import { Transport } from "../../src/transports/index.ts"
import { pause, withTimeout, settled, waitUntil } from "../../src/testing/steps.ts"
import {
  anyPort,
  clientKeys,
  openChannel,
  readAtLeast,
  recording,
  serverKeys,
  suiteOf
} from "./rig.ts"

const suite = suiteOf("NNpsk0")
/** READY, PING and PONG. */
const emptyRecord = 2 + 3 + 16

/** Advances the clock, and lets the bytes sent meanwhile arrive. */
const after = (seconds: number) => Effect.zipRight(TestClock.adjust(`${seconds} seconds`), pause(5))

const periods = (count: number) => Effect.repeatN(after(25), count - 1)

/** Discards all further input, as when the machine was unplugged. */
const deafness = () => {
  const state = { deaf: false }
  const wire = (connection: Connection): Connection => ({
    ...connection,
    flow: {
      ...connection.flow,
      start: (sink) =>
        connection.flow.start({ ...sink, bytes: (chunk) => !state.deaf && sink.bytes(chunk) })
    }
  })
  return { state, wire }
}

const memory = Effect.provide(Transport.layerMemory())

it("the limits are those of PROTOCOL.md section 10", () => {
  expect([limits.keepalive, limits.keepaliveMisses]).toEqual(["25 seconds", 3])
})

describe("a silent peer that is alive", () => {
  it.scoped("gets PING after 25 seconds, and stays connected", () =>
    Effect.gen(function* () {
      const written: Array<Uint8Array> = []
      const [client, served] = yield* openChannel(suite, { wire: recording(written) })
      yield* pause(5)
      const lengths = () => written.map(({ length }) => length)
      written.length = 0
      yield* after(24)
      expect(lengths()).toEqual([])
      yield* after(1)
      // PING, or PONG to the server's PING of the same moment.
      expect([1, 2]).toContain(written.length)
      expect(new Set(lengths())).toEqual(new Set([emptyRecord]))
      yield* periods(40)
      yield* client.channel.write(Buffer.from("still there"))
      expect((yield* withTimeout("the words", readAtLeast(served.channel, 11))).toString()).toBe(
        "still there"
      )
      yield* served.channel.write(Buffer.from("so am I"))
      expect((yield* withTimeout("the answer", readAtLeast(client.channel, 7))).toString()).toBe(
        "so am I"
      )
    }).pipe(memory)
  )

  it.scoped("gets no PING while it sends", () =>
    Effect.gen(function* () {
      const written: Array<Uint8Array> = []
      const [client, served] = yield* openChannel(suite, { wire: recording(written) })
      yield* pause(5)
      written.length = 0
      for (let turn = 0; turn < 20; turn++) {
        yield* served.channel.write(Buffer.from("."))
        yield* after(10)
        expect((yield* withTimeout("the byte", readAtLeast(client.channel, 1))).toString()).toBe(
          "."
        )
      }
      // The server has received nothing and sends PING; the client answers and sends no PING of its
      // own.
      expect(written.length).toBeGreaterThanOrEqual(4)
      expect(written.length).toBeLessThanOrEqual(8)
    }).pipe(memory)
  )
})

describe("a dead peer", () => {
  it.scoped("is detected after three unanswered PINGs, and not before", () =>
    Effect.gen(function* () {
      const { state, wire } = deafness()
      const written: Array<Uint8Array> = []
      const [client] = yield* openChannel(suite, {
        wire: (connection) => wire(recording(written)(connection))
      })
      yield* pause(5)
      const reading = yield* Effect.fork(Effect.flip(client.channel.read))
      state.deaf = true
      written.length = 0
      // Bytes that arrived before count for the first period.
      yield* periods(3)
      const pingBytes = written.length
      expect(pingBytes).toBeGreaterThanOrEqual(2)
      yield* after(24)
      expect((yield* reading.poll)._tag).toBe("None")
      yield* periods(2)
      expect(yield* withTimeout("the news", Fiber.join(reading))).toMatchObject({
        _tag: "PeerDead"
      })
      expect(written.filter(({ length }) => length === emptyRecord).length).toBe(3)
      expect(yield* Effect.flip(client.channel.write(Buffer.from("x")))).toMatchObject({
        _tag: "PeerDead"
      })
    }).pipe(memory)
  )

  it.scoped("is detected after 15 seconds on an idle channel", () =>
    Effect.gen(function* () {
      const { state, wire } = deafness()
      const [client] = yield* openChannel(suite, { wire })
      yield* pause(5)
      const reading = yield* Effect.fork(Effect.flip(client.channel.read))
      client.channel.keepAlive(true)
      for (let looks = 0; looks < 20; looks++) yield* after(5)
      expect((yield* reading.poll)._tag).toBe("None")
      state.deaf = true
      for (let looks = 0; looks < 3; looks++) yield* after(5)
      expect(yield* withTimeout("the news", Fiber.join(reading))).toMatchObject({
        _tag: "PeerDead"
      })
    }).pipe(memory)
  )

  it.scoped("resets the connection", () =>
    Effect.gen(function* () {
      const { state, wire } = deafness()
      const [, served] = yield* openChannel(suite, { wire })
      yield* pause(5)
      state.deaf = true
      yield* periods(5)
      expect(yield* withTimeout("the cut", Effect.flip(served.channel.read))).toMatchObject({
        _tag: "StreamTruncated"
      })
    }).pipe(memory)
  )
})

describe("a peer that is gone while it is written to", () => {
  it.scoped("is detected as soon as any other, and ends the blocked writer", () =>
    Effect.gen(function* () {
      const { state, wire } = deafness()
      const [client] = yield* openChannel(suite, { wire })
      let written = 0
      const writer = yield* Effect.fork(
        Effect.flip(
          Effect.forever(
            Effect.tap(client.channel.write(Buffer.alloc(64 * 1024, 1)), () =>
              Effect.sync(() => written++)
            )
          )
        )
      )
      yield* settled(() => written)
      state.deaf = true
      yield* periods(limits.keepaliveMisses)
      expect((yield* writer.poll)._tag).toBe("None")
      // Bytes that arrived before count for the first period.
      yield* periods(3)
      expect(yield* withTimeout("the end", Fiber.join(writer))).toMatchObject({ _tag: "PeerDead" })
    }).pipe(memory)
  )
})

describe("a slow reader", () => {
  it.scoped("does not count as dead, nor does the writer that it blocks", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite)
      let written = 0
      const total = 4 * 1024 * 1024
      const writer = yield* Effect.fork(
        Effect.gen(function* () {
          for (; written < total; written += 64 * 1024)
            yield* client.channel.write(Buffer.alloc(64 * 1024, 1))
        })
      )
      const stuck = yield* settled(() => written)
      expect(stuck).toBeLessThan(total)
      yield* periods(20)
      expect((yield* writer.poll)._tag).toBe("None")
      expect((yield* withTimeout("all of it", readAtLeast(served.channel, total))).length).toBe(
        total
      )
      yield* withTimeout("the writer", Fiber.join(writer))
    }).pipe(memory)
  )

  it.scoped("does not count as dead while it reads a little now and then", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite)
      const total = 16 * 1024 * 1024
      const writer = yield* Effect.fork(client.channel.write(Buffer.alloc(total, 1)))
      let have = 0
      for (let period = 0; period < 3 * limits.stalledKeepalives; period++) {
        have += (yield* withTimeout("some", readAtLeast(served.channel, 64 * 1024))).length
        yield* after(25)
      }
      expect((yield* writer.poll)._tag).toBe("None")
      have += (yield* withTimeout("the rest", readAtLeast(served.channel, total - have))).length
      expect(have).toBe(total)
      yield* withTimeout("the writer", Fiber.join(writer))
    }).pipe(memory)
  )

  it.scoped("counts as dead after ten minutes without reading, even if it sends", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite)
      const writer = yield* Effect.fork(
        Effect.flip(Effect.forever(client.channel.write(Buffer.alloc(64 * 1024, 1))))
      )
      yield* Effect.forkScoped(Effect.forever(client.channel.read))
      yield* pause(50)
      for (let period = 0; period < limits.stalledKeepalives - 1; period++) {
        yield* served.channel.write(Buffer.from("."))
        yield* after(25)
      }
      expect((yield* writer.poll)._tag).toBe("None")
      yield* periods(2)
      expect(yield* withTimeout("the end", Fiber.join(writer))).toMatchObject({ _tag: "PeerDead" })
    }).pipe(memory)
  )

  it.scoped("does not count as dead when nothing waits to be sent", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite)
      // More than the queue of the reader, and less than the buffers between: no writer is blocked.
      for (let part = 0; part < 5; part++) {
        yield* withTimeout("a write", client.channel.write(Buffer.alloc(60_000, part)))
        yield* pause(5)
      }
      yield* periods(20)
      yield* client.channel.write(Buffer.from("end"))
      expect(
        (yield* withTimeout("all of it", readAtLeast(served.channel, 300_003)))
          .subarray(-3)
          .toString()
      ).toBe("end")
      yield* served.channel.write(Buffer.from("thanks"))
      expect((yield* withTimeout("the thanks", readAtLeast(client.channel, 6))).toString()).toBe(
        "thanks"
      )
    }).pipe(memory)
  )
})

describe("a peer that floods PINGs", () => {
  it.scopedLive("and does not read gets one PONG afterwards, and occupies no memory before", () =>
    Effect.gen(function* () {
      const transport = yield* Transport
      const accepted = yield* Deferred.make<Channel.Channel>()
      const { address } = yield* transport.listen(anyPort, (connection) =>
        Channel.accept(connection, serverKeys).pipe(
          Effect.flatMap((channel) => Deferred.succeed(accepted, channel)),
          Effect.zipRight(connection.draining),
          Effect.ignore
        )
      )
      const connection = yield* transport.connect(address)
      const { send, receive } = yield* Channel.initiate(connection, clientKeys(suite))
      const received: Array<RecordType> = []
      const inbound = new Inbound(receive)
      connection.flow.start({
        bytes: (chunk) => void inbound.push(chunk, ({ type }) => received.push(type)),
        drained: () => {},
        end: () => {},
        lost: () => {}
      })
      connection.flow.pause()
      const out = new Outbound(send, noPadding, (bytes) => connection.flow.write(bytes))
      out.record(RecordType.Ready)
      out.flush()
      const channel = yield* withTimeout("the channel", Deferred.await(accepted))
      // The server writes until it is blocked.
      const writer = yield* Effect.fork(Effect.forever(channel.write(Buffer.alloc(60_000))))
      yield* pause(50)
      expect((yield* writer.poll)._tag).toBe("None")
      for (let count = 0; count < 100; count++) out.record(RecordType.Ping)
      out.data(Buffer.from("x"))
      out.flush()
      expect((yield* withTimeout("the byte", readAtLeast(channel, 1))).toString()).toBe("x")
      yield* Fiber.interrupt(writer)
      const ending = yield* Effect.fork(channel.end)
      connection.flow.resume()
      const count = (type: RecordType) => received.filter((each) => each === type).length
      yield* waitUntil("PONG and FIN", () => count(RecordType.Pong) * count(RecordType.Fin) > 0)
      yield* withTimeout("the end", Fiber.join(ending))
      expect(count(RecordType.Pong)).toBe(1)
    }).pipe(memory)
  )
})
