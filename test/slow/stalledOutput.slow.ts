// A server whose stdout is not read for a minute while a gibibyte is sent: the sender waits, the
// memory of the server does not grow, and then every byte is delivered.
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { constants, openSync } from "node:fs"
import net from "node:net"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import { encodeMessages } from "../../src/services/messages/MessageFrame.ts"
import { Transport } from "../../src/transports/index.ts"
import { it, type Box } from "../cli/Sealwire.ts"
import { residentBytes } from "../hostile/channel/TargetServer.ts"
import { pause } from "../../src/testing/steps.ts"
import { maximumInOneMinute, MiB, readReceipts, startServer } from "./StartedServer.ts"

const warmUp = 64
const offered = 1024

/** One mebibyte that ends with a newline: stdout gets exactly these bytes for each message. */
const text = Buffer.concat([randomBytes(MiB - 1), Buffer.from("\n")])

/** A pipe as a shell creates it; the bytes read from it are hashed. */
const pipe = (box: Box, name: string) => {
  execFileSync("mkfifo", [box.path(name)])
  const fd = openSync(box.path(name), constants.O_RDONLY | constants.O_NONBLOCK)
  const reader = new net.Socket({ fd, readable: true, writable: false })
  box.defer(() => reader.destroy())
  const hash = createHash("sha256")
  const taken = { bytes: 0, reader, digest: () => hash.digest("hex") }
  reader.on("data", (chunk: Buffer) => {
    hash.update(chunk)
    taken.bytes += chunk.length
  })
  return taken
}

describe("a server whose stdout is not read for a minute", () => {
  it("keeps the sender waiting, uses less than 32 MiB, and then delivers every byte", async ({
    box
  }) => {
    const stdout = pipe(box, "stdout")
    const { server, connect } = await startServer(box, "stdout")
    let written = 0
    let handled = 0
    await Effect.gen(function* () {
      const channel = yield* connect
      const receipts = yield* Effect.fork(readReceipts(channel, (count) => (handled = count)))
      const write = (count: number) =>
        Effect.gen(function* () {
          for (const end = written + count; written < end; written++)
            for (const { chunks } of encodeMessages([text]))
              yield* channel.write(Buffer.concat(chunks))
        })
      // Warm up first: later growth must not be the program itself.
      yield* write(warmUp)
      yield* Effect.repeat(pause(20), {
        until: () => handled === warmUp && stdout.bytes === warmUp * MiB
      })

      stdout.reader.pause()
      const before = residentBytes(server.pid)
      const writer = yield* Effect.fork(write(offered))
      const stuck: Array<number> = []
      const maximum = yield* maximumInOneMinute(
        () => residentBytes(server.pid),
        (second) => second >= 10 && stuck.push(written)
      )
      // At most the kernel's buffers and one message are in between, and no receipt is early.
      expect(new Set(stuck).size).toBe(1)
      expect(written - warmUp).toBeLessThan(32)
      expect(handled * MiB).toBeLessThanOrEqual(stdout.bytes + MiB)
      expect(maximum - before).toBeLessThan(32 * MiB)

      stdout.reader.resume()
      yield* Fiber.join(writer)
      yield* channel.end
      yield* Fiber.join(receipts)
      expect(handled).toBe(warmUp + offered)
    }).pipe(Effect.scoped, Effect.provide(Transport.layerNet), Effect.runPromise)

    server.kill("SIGTERM")
    await server.ended()
    expect(stdout.bytes).toBe((warmUp + offered) * MiB)
    const whole = createHash("sha256")
    for (let count = 0; count < warmUp + offered; count++) whole.update(text)
    expect(stdout.digest()).toBe(whole.digest("hex"))
  })
})
