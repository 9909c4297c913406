// A Unix socket whose queue of connections is full, because its server is suspended: the kernel
// refuses further ones at once (EAGAIN), where it would let them wait for TCP.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { pause, withTimeout } from "../../src/testing/steps.ts"
import * as Address from "../../src/transports/Address.ts"
import * as Net from "../../src/transports/Net.ts"

/** A server in a process of its own that can be suspended, with a queue of one connection. */
const suspended = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "sealwire-queue-"))
    const socket = path.join(folder, "s.sock")
    const program = `require("node:net").createServer((s) => s.end("hello")).listen({ path: process.argv[1], backlog: 1 }, () => console.log())`
    const child = spawn(process.execPath, ["-e", program, socket], { stdio: "pipe" })
    await new Promise((resolve) => child.stdout.once("data", resolve))
    child.kill("SIGSTOP")
    return { child, folder, socket, waiting: new Set<net.Socket>() }
  }),
  ({ child, folder, waiting }) =>
    Effect.sync(() => {
      for (const socket of waiting) socket.destroy()
      child.kill("SIGKILL")
      rmSync(folder, { recursive: true })
    })
)

/** The outcome of a plain connection: "connected", or the code of the error. */
const plain = (socket: string, waiting: Set<net.Socket>): Promise<string> =>
  new Promise((resolve) => {
    const connecting = net.connect(socket)
    waiting.add(connecting)
    connecting.once("connect", () => resolve("connected"))
    connecting.once("error", ({ code = "" }: NodeJS.ErrnoException) => resolve(code))
  })

describe.runIf(process.platform === "linux")("a full queue of a Unix socket", () => {
  it.scopedLive("is waited for: the connection succeeds when the server accepts again", () =>
    Effect.gen(function* () {
      const { child, socket, waiting } = yield* suspended
      let outcome = "connected"
      for (let count = 0; count < 16 && outcome === "connected"; count++)
        outcome = yield* Effect.promise(() => plain(socket, waiting))
      expect(outcome).toBe("EAGAIN")
      const client = yield* Effect.fork(
        Effect.flatMap(Net.connect(Address.unix(socket)), ({ read }) => read).pipe(Effect.scoped)
      )
      yield* pause(200)
      expect((yield* client.poll)._tag).toBe("None")
      child.kill("SIGCONT")
      const chunk = yield* withTimeout("the connection", Fiber.join(client))
      expect(Buffer.from(chunk ?? []).toString()).toBe("hello")
    })
  )
})
