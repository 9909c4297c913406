// A reader that stops while a gibibyte is sent: the writer waits, and the memory of neither side
// grows.
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
  "a stopped reader blocks the writer, and costs less than 32 MiB",
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
      // Sends 64 MiB first, so that the growth of the program itself is not measured.
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
      // Only the buffers of the kernel and of the channel lie between the two.
      expect(written - read).toBeLessThan(24 * MiB)
      expect(most).toBeLessThan(32 * MiB)
      const stuck = written
      // The stream continues.
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
