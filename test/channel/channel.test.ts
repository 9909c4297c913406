// The behaviour of a channel, for every suite over every transport.
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Channel } from "../../src/channel/Channel.ts"
import type { ChannelError } from "../../src/channel/ChannelErrors.ts"
import { protocolLimits } from "../../src/channel/limits.ts"
import { allSuites } from "../../src/channel/Suite.ts"
import { Transport } from "../../src/transports/index.ts"
import { pause, withTimeout, settled, waitUntil } from "../../src/testing/steps.ts"
import { runs } from "../fixtures/sample.ts"
import { subjects } from "../transports/subjects.ts"
import { alice, openChannel, readAll, readAtLeast, equalBytes, server, suiteOf } from "./rig.ts"

const bytesOf = (length: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + seed) & 0xff
  return bytes
}

/** Writes until a write fails: the close of the other side arrives a moment later. */
const writeUntilError = (channel: Channel) =>
  Effect.forever(Effect.zipRight(channel.write(Buffer.from("?")), pause(1)))

const present = subjects.filter(({ here }) => here)
it("has transports to run over", () => expect(present.length).toBeGreaterThanOrEqual(5))

describe.each(present)("over $name", ({ name, layer, freeAddress }) => {
  // Each single byte costs a turn of the event loop.
  const much = name.includes("cut into") ? 3000 : 300_000

  describe.each(allSuites)("$name", (suite) => {
    it.scopedLive("identifies both peers and gives both sides one handshake hash", () =>
      Effect.gen(function* () {
        const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
        expect(client.channel.suite).toBe(suite.name)
        expect(served.channel.suite).toBe(suite.name)
        expect(equalBytes(client.channel.handshakeHash, served.channel.handshakeHash)).toBe(true)
        expect(client.channel.handshakeHash.length).toBe(32)
        expect(client.channel.handshakeHash.every((byte) => byte === 0)).toBe(false)
        if (suite.hasIdentities) {
          expect(equalBytes(client.channel.publicKey, server.publicKey)).toBe(true)
          expect(equalBytes(served.channel.publicKey, alice.publicKey)).toBe(true)
          expect(served.channel.peer).toBe("alice")
        } else {
          expect(client.channel.publicKey).toBeUndefined()
          expect(served.channel.publicKey).toBeUndefined()
          expect(served.channel.peer).toBe(served.channel.peerAddress)
        }
      }).pipe(Effect.provide(layer))
    )

    it.scopedLive("delivers both directions at once, in order, with an orderly end", () =>
      Effect.gen(function* () {
        const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
        const [there, back] = [bytesOf(much, 1), bytesOf(much + 17, 2)]
        const write = (side: typeof client, bytes: Buffer) =>
          Effect.zipRight(
            Effect.forEach([0.1, 0.5, 1], (part, index) =>
              side.channel.write(
                bytes.subarray(([0, 0.1, 0.5][index] as number) * bytes.length, part * bytes.length)
              )
            ),
            side.channel.end
          )
        const [, , atServer, atClient] = yield* withTimeout(
          "all bytes",
          Effect.all(
            [
              write(client, there),
              write(served, back),
              readAll(served.channel),
              readAll(client.channel)
            ],
            {
              concurrency: "unbounded"
            }
          )
        )
        expect(atServer.equals(there)).toBe(true)
        expect(atClient.equals(back)).toBe(true)
        yield* withTimeout("the client to close", client.close(Exit.void))
        yield* withTimeout("the server to close", served.close(Exit.void))
      }).pipe(Effect.provide(layer))
    )
  })

  // After the handshake all suites behave alike.
  const suite = suiteOf("IK")

  it.scopedLive.each(["client", "server"] as const)(
    "the %s may send FIN first and continue to read",
    (first) =>
      Effect.gen(function* () {
        const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
        const [early, late] =
          first === "client" ? [client.channel, served.channel] : [served.channel, client.channel]
        yield* early.write(Buffer.from("last bytes"))
        yield* early.end
        // A second end has no effect.
        yield* early.end
        expect((yield* withTimeout("the first end", readAll(late))).toString()).toBe("last bytes")
        expect(yield* Effect.flip(early.write(Buffer.from("more")))).toMatchObject({
          _tag: "ChannelClosed"
        })
        yield* late.write(bytesOf(much, 3))
        expect(
          (yield* withTimeout("bytes after the end", readAtLeast(early, much))).equals(
            bytesOf(much, 3)
          )
        ).toBe(true)
        yield* late.end
        expect(yield* withTimeout("the second end", early.read)).toBeUndefined()
        expect(yield* withTimeout("an end that stays", early.read)).toBeUndefined()
      }).pipe(Effect.provide(layer))
  )

  it.scopedLive("closes with FIN and CLOSE when the scope succeeds, without losing bytes", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
      yield* client.channel.write(bytesOf(much, 4))
      const closing = yield* Effect.fork(client.close(Exit.void))
      expect(
        (yield* withTimeout("the end", readAll(served.channel))).equals(bytesOf(much, 4))
      ).toBe(true)
      expect(
        yield* withTimeout("a refusal", Effect.flip(writeUntilError(served.channel)))
      ).toMatchObject({
        _tag: "ChannelClosed",
        reason: "it has finished"
      })
      yield* served.close(Exit.void)
      yield* withTimeout("the client to close", Fiber.join(closing))
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive.each(["client", "server"] as const)(
    "a failed scope of the %s truncates the stream of the other side",
    (first) =>
      Effect.gen(function* () {
        const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
        const [cutter, other] = first === "client" ? [client, served] : [served, client]
        yield* cutter.channel.write(Buffer.from("only a beginning"))
        expect(
          (yield* withTimeout("the beginning", readAtLeast(other.channel, 16))).toString()
        ).toBe("only a beginning")
        yield* withTimeout("the cut", cutter.close(Exit.die("on purpose")))
        expect(
          yield* withTimeout("the truncation", Effect.flip(readAll(other.channel)))
        ).toMatchObject({
          _tag: "StreamTruncated"
        })
        expect(
          yield* withTimeout("a refusal", Effect.flip(writeUntilError(other.channel)))
        ).toMatchObject({
          _tag: "StreamTruncated"
        })
      }).pipe(Effect.provide(layer), Logger.withMinimumLogLevel(LogLevel.None))
  )

  it.scopedLive("delivers control messages in order with the bytes", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
      yield* client.channel.write(Buffer.from("a"))
      yield* client.channel.sendControl(Buffer.from("one"))
      yield* client.channel.sendControl(Buffer.from("two"))
      yield* client.channel.write(Buffer.from("b"))
      yield* client.channel.end
      expect((yield* withTimeout("all", readAll(served.channel))).toString()).toBe("a<one><two>b")
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("blocks the writer while the reader pauses, then continues", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
      let total = name.includes("cut into") ? 1_300_000 : 40 * 1024 * 1024
      const piece = bytesOf(name.includes("cut into") ? 4000 : 64 * 1024, 5)
      let written = 0
      const writer = yield* Effect.fork(
        Effect.gen(function* () {
          while (written < total) {
            yield* client.channel.write(piece)
            written += piece.length
          }
          yield* client.channel.end
        })
      )
      const stuck = yield* settled(() => written)
      expect(stuck).toBeLessThan(name.includes("cut into") ? 1_000_000 : 20 * 1024 * 1024)
      // The writer is blocked: some pieces more show that it continues.
      total = Math.min(total, stuck + 20 * piece.length)
      let read = 0
      const reading = Effect.gen(function* () {
        for (
          let item = yield* served.channel.read;
          item !== undefined;
          item = yield* served.channel.read
        )
          read += item instanceof Uint8Array ? item.length : 0
      })
      yield* Effect.raceFirst(
        reading,
        Effect.zipRight(
          waitUntil("the rest", () => read >= stuck),
          Effect.never
        )
      ).pipe(Effect.timeout("15 seconds"))
      yield* withTimeout("the writer", Fiber.join(writer))
      expect(read).toBe(written)
      expect(read).toBeGreaterThanOrEqual(total)
    }).pipe(Effect.provide(layer))
  )

  it.scopedLive("completes all of many concurrent writes", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suite, { address: yield* freeAddress })
      const size = Math.floor(much / 50)
      const writers = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: 50 }, (_, index) => index),
          (index) => client.channel.write(Buffer.alloc(size, index)),
          {
            concurrency: "unbounded"
          }
        )
      )
      const got = yield* withTimeout("all of them", readAtLeast(served.channel, 50 * size))
      yield* withTimeout("the writers", Fiber.join(writers))
      const seen = new Set<number>()
      for (let at = 0; at < got.length; at += size) {
        const part = got.subarray(at, at + size)
        expect(part.equals(Buffer.alloc(size, part[0]))).toBe(true)
        seen.add(part[0] as number)
      }
      expect(seen.size).toBe(50)
    }).pipe(Effect.provide(layer))
  )
})

describe("over Memory", () => {
  it.scopedLive.prop(
    "delivers any writes unchanged, with any padding and chunk size",
    {
      writes: FastCheck.array(FastCheck.uint8Array({ maxLength: 5000 }), { maxLength: 20 }),
      chunkBytes: FastCheck.integer({ min: 1, max: 5000 }),
      block: FastCheck.integer({ min: 1, max: 5000 })
    },
    ({ writes, chunkBytes, block }) =>
      Effect.gen(function* () {
        const padding = { _tag: "Block", bytes: block } as const
        const [client, served] = yield* openChannel(suiteOf("NNpsk0"), { channel: { padding } })
        const writing = yield* Effect.fork(
          Effect.zipRight(Effect.forEach(writes, client.channel.write), client.channel.end)
        )
        expect(
          (yield* withTimeout("all", readAll(served.channel))).equals(Buffer.concat(writes))
        ).toBe(true)
        yield* Fiber.join(writing)
      }).pipe(Effect.provide(Transport.layerMemory({ chunkBytes }))),
    { fastCheck: { numRuns: runs(12, 25) } }
  )

  it.scopedLive(
    "rekeys both sides at the same record, after 65,536 records",
    () =>
      Effect.gen(function* () {
        const [client, served] = yield* openChannel(suiteOf("NNpsk0"))
        const count = protocolLimits.recordsPerKey + 100
        // Both sides have the same code; a whole run tests both directions.
        const countBack = runs(100, count)
        const body = Buffer.from("x")
        // Callbacks: 65,536 Effects would take most of the time.
        const exchange = ({ channel: { flow } }: typeof client, count: number) =>
          Effect.async<readonly [controls: number, rest: string], ChannelError>((resume) => {
            let controls = 0
            let rest = ""
            flow.start({
              item: (item) => {
                if (item instanceof Uint8Array) rest += Buffer.from(item).toString()
                else controls++
              },
              drained: () => {},
              end: () => resume(Effect.succeed([controls, rest])),
              closed: (error) => resume(Effect.fail(error))
            })
            const send = (record: number) => {
              const next = Math.min(record + 256, count)
              for (let at = record; at < next; at++) flow.sendControl(body)
              if (next < count) return setImmediate(send, next)
              flow.write(Buffer.from("the end"))
              return flow.end()
            }
            send(0)
          })
        const [atClient, atServer] = yield* Effect.timeout(
          Effect.all([exchange(client, count), exchange(served, countBack)], {
            concurrency: "unbounded"
          }),
          "25 seconds"
        )
        expect(atServer).toEqual([count, "the end"])
        expect(atClient).toEqual([countBack, "the end"])
      }).pipe(Effect.provide(Transport.layerMemory())),
    30_000
  )

  it.scopedLive(
    "interruptRead ends the waiting read or the next one that would wait, and no other",
    () =>
      Effect.gen(function* () {
        const [client, served] = yield* openChannel(suiteOf("NNpsk0"))
        const waiting = yield* Effect.fork(served.channel.read)
        yield* Effect.yieldNow()
        yield* served.channel.interruptRead
        expect(yield* withTimeout("the reader", Fiber.join(waiting))).toBeUndefined()
        yield* client.channel.write(Buffer.from("late"))
        yield* Effect.sleep("20 millis")
        expect(yield* served.channel.read).toEqual(Buffer.from("late"))
        yield* client.channel.write(Buffer.from("later"))
        yield* Effect.sleep("20 millis")
        yield* served.channel.interruptRead
        expect(yield* served.channel.read).toEqual(Buffer.from("later"))
        expect(yield* withTimeout("the next reader", served.channel.read)).toBeUndefined()
        const again = yield* Effect.fork(served.channel.read)
        yield* client.channel.write(Buffer.from("last"))
        expect(yield* withTimeout("bytes again", Fiber.join(again))).toEqual(Buffer.from("last"))
      }).pipe(Effect.provide(Transport.layerMemory()))
  )

  it.scopedLive("an interrupted read takes no bytes", () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suiteOf("NNpsk0"))
      for (let turn = 0; turn < 20; turn++) {
        const reader = yield* Effect.fork(served.channel.read)
        yield* Effect.yieldNow()
        yield* client.channel.write(Buffer.from([turn]))
        yield* Fiber.interrupt(reader)
      }
      expect(
        (yield* withTimeout("all of it", readAtLeast(served.channel, 20))).equals(
          Buffer.from([...Array(20).keys()])
        )
      ).toBe(true)
    }).pipe(Effect.provide(Transport.layerMemory()))
  )
})
