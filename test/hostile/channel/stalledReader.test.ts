// A reader that stops while a gibibyte is offered: the writer waits, and neither side's memory grows.
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect, it } from "@effect/vitest"
import { Transport } from "../../../src/transports/index.ts"
import { collectGarbage, openChannel, suiteOf } from "../../channel/rig.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"

const MiB = 1024 * 1024
const offered = 1024 * MiB

const held = (): number => {
  const { rss, external, arrayBuffers } = process.memoryUsage()
  return Math.max(rss, external + arrayBuffers)
}

it.scopedLive(
  "a reader that stops stops the writer, and costs less than 32 MiB",
  () =>
    Effect.gen(function* () {
      const [client, served] = yield* openChannel(suiteOf("IK"))
      const piece = Buffer.alloc(64 * 1024, 1)
      let written = 0
      const writer = yield* Effect.fork(
        Effect.gen(function* () {
          for (; written < offered; written += piece.length) yield* client.channel.write(piece)
        })
      )
      // Warm first: 64 MiB go through, so that what grows later is not the program itself.
      let read = 0
      while (read < 64 * MiB) {
        const item = yield* withTimeout("bytes", served.channel.read)
        read += item instanceof Uint8Array ? item.length : 0
      }
      collectGarbage()
      const before = held()
      let most = 0
      for (let tenth = 0; tenth < 60; tenth++) {
        yield* pause(100)
        most = Math.max(most, held() - before)
      }
      expect((yield* writer.poll)._tag).toBe("None")
      // The kernel's buffers and our own, and no more, lie between the two.
      expect(written - read).toBeLessThan(24 * MiB)
      expect(most).toBeLessThan(32 * MiB)
      const stuck = written
      // And it goes on where it was.
      while (read < stuck + 8 * MiB) {
        const item = yield* withTimeout("more bytes", served.channel.read)
        read += item instanceof Uint8Array ? item.length : 0
      }
      expect(written).toBeGreaterThan(stuck)
      yield* Fiber.interrupt(writer)
      yield* client.connection.abort
    }).pipe(Effect.provide(Transport.layerNet)),
  20_000
)
