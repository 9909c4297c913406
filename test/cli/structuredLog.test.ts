// `serve --json` writes objects with a stable code, the time and the level to both streams.
import { setTimeout as sleep } from "node:timers/promises"
import { describe, expect } from "vitest"
import { eventsOf, it, type Box } from "./Sealwire.ts"

const serve = async (box: Box, ...args: ReadonlyArray<string>) => {
  const server = box.start(["serve", "--listen", "unix:./s.sock", "--json", ...args])
  while (server.alive && !box.names.includes("s.sock")) await sleep(20)
  return server
}

const stamp = { time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown }

describe("serve --json", () => {
  it("stamps every object with time and level, and with --log-level debug logs each batch", async ({
    box
  }) => {
    const server = await serve(
      box,
      "--inbox",
      "exec:echo received; grep -q good",
      "--log-level",
      "debug"
    )
    expect((await box.run(["send", "--to", "unix:./s.sock", "good"])).code).toBe(0)
    expect((await box.run(["send", "--to", "unix:./s.sock", "bad"])).code).toBe(8)
    await server.until("the end of both", ({ stdout }) => stdout.includes("session-failed"))
    for (const [code, level] of [
      ["server-listening", "info"],
      ["session-started", "debug"],
      ["session-failed", "warning"]
    ] as const)
      expect(eventsOf(server.stdout)).toContainEqual(
        expect.objectContaining({ event: code, level, ...stamp })
      )
    const log = eventsOf(server.stderr)
    expect(log).toContainEqual({
      event: "log",
      level: "info",
      message: "the command: received",
      ...stamp
    })
    const batch = {
      event: "batch-handled",
      level: "debug",
      messages: 1,
      peer: expect.any(String) as unknown,
      millis: expect.any(Number) as unknown
    }
    expect(log).toContainEqual(expect.objectContaining({ ...batch, ...stamp, handled: true }))
    expect(log).toContainEqual(expect.objectContaining({ ...batch, ...stamp, handled: false }))
  })

  it("applies --log-level to stderr, and writes events at any level", async ({ box }) => {
    const server = await serve(box, "--log-level", "none", "--inbox", "exec:echo received")
    expect((await box.run(["send", "--to", "unix:./s.sock", "text"])).code).toBe(0)
    await server.until("the end", ({ stdout }) => stdout.includes("session-ended"))
    expect(server.stderr).toBe("")
  })
})
