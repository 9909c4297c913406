// An authenticated peer that reads nothing for a minute while the other side writes: the writer
// waits, its memory does not grow, and then every byte is delivered.
import { createHash, randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type * as Channel from "../../src/channel/Channel.ts"
import { encodeMessages } from "../../src/services/messages/MessageFrame.ts"
import { Transport } from "../../src/transports/index.ts"
import { collectGarbage, openChannel, suiteOf } from "../channel/rig.ts"
import { it } from "../cli/Sealwire.ts"
import { residentBytes } from "../hostile/channel/TargetServer.ts"
import { pause, nextTurn } from "../../src/testing/steps.ts"
import { maximumInOneMinute, MiB, readReceipts, startServer } from "./StartedServer.ts"

const warmUp = 64 * MiB
const offered = 1024 * MiB
const pieceBytes = 64 * 1024

/** A flow of random bytes from one side of a channel to the other. */
class Flow {
  readonly #from: Channel.Channel
  readonly #to: Channel.Channel
  readonly sentHash = createHash("sha256")
  readonly receivedHash = createHash("sha256")
  written = 0
  read = 0

  constructor(from: Channel.Channel, to: Channel.Channel) {
    this.#from = from
    this.#to = to
  }

  writeTo(bytes: number) {
    return Effect.gen(this, function* () {
      for (; this.written < bytes; this.written += pieceBytes) {
        const piece = Buffer.alloc(pieceBytes, randomBytes(8))
        this.sentHash.update(piece)
        yield* this.#from.write(piece)
      }
    })
  }

  readTo(bytes: number) {
    return Effect.gen(this, function* () {
      while (this.read < bytes) {
        const item = (yield* this.#to.read) as Uint8Array
        this.receivedHash.update(item)
        this.read += item.length
      }
    })
  }
}

/** Bytes of this process that the GC cannot free. */
const retainedBytes = (): number => {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe("a peer that reads nothing for a minute", () => {
  it("and sends messages blocks the server's receipts, which use less than 32 MiB", async ({
    box
  }) => {
    const { server, connect } = await startServer(box, "/dev/null")
    await Effect.gen(function* () {
      const channel = yield* connect
      let written = 0
      // The shortest messages, one per record: the largest number of receipts.
      const write = Effect.gen(function* () {
        for (const { chunks } of encodeMessages([Buffer.from("x")]))
          yield* channel.write(Buffer.concat(chunks))
        written++
        yield* nextTurn
      })
      const first = 100_000
      yield* Effect.fork(Effect.repeatN(write, first - 1))
      yield* readReceipts(channel, () => {}, first)

      let stop = false
      const before = residentBytes(server.pid)
      const writer = yield* Effect.fork(Effect.repeat(write, { until: () => stop }))
      // Receipts are short, and the kernel buffers many.
      for (let last = -1, still = 0, looks = 0; still < 5 && looks < 60; looks++) {
        still = last === written ? still + 1 : 0
        last = written
        yield* pause(3000)
      }
      const stuck: Array<number> = []
      const maximum = yield* maximumInOneMinute(
        () => residentBytes(server.pid),
        () => stuck.push(written)
      )
      expect(new Set(stuck).size).toBe(1)
      expect(maximum - before).toBeLessThan(32 * MiB)

      stop = true
      let handled = 0
      const receipts = yield* Effect.fork(readReceipts(channel, (count) => (handled = count)))
      yield* Fiber.join(writer)
      yield* channel.end
      yield* Fiber.join(receipts)
      expect(handled).toBe(written)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise)
  })

  it("blocks the writer, client or server, and both together use less than 32 MiB", () =>
    Effect.gen(function* () {
      const [toServer, toClient] = yield* Effect.all([
        openChannel(suiteOf("IK")),
        openChannel(suiteOf("XX"))
      ])
      const flows = [
        new Flow(toServer[0].channel, toServer[1].channel),
        new Flow(toClient[1].channel, toClient[0].channel)
      ]
      // Warm up first: later growth must not be the program itself.
      yield* Effect.forEach(
        flows,
        (flow) => Effect.zip(flow.writeTo(warmUp), flow.readTo(warmUp), { concurrent: true }),
        {
          concurrency: 2
        }
      )
      const before = retainedBytes()
      yield* Effect.forEach(flows, (flow) => Effect.fork(flow.writeTo(offered)))
      const stuck: Array<string> = []
      const maximum = yield* maximumInOneMinute(
        retainedBytes,
        (second) => second >= 10 && stuck.push(flows.map(({ written }) => written).join())
      )
      // Only the kernel's buffers and our own are in between.
      for (const { written } of flows) expect(written - warmUp).toBeLessThan(24 * MiB)
      expect(new Set(stuck).size).toBe(1)
      expect(maximum - before).toBeLessThan(32 * MiB)
      yield* Effect.forEach(flows, (flow) => flow.readTo(offered), { concurrency: 2 })
      for (const { receivedHash, sentHash } of flows)
        expect(receivedHash.digest("hex")).toBe(sentHash.digest("hex"))
      yield* Effect.forEach([toServer, toClient], ([client]) => client.connection.abort)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise))
})
