// How a server that runs is asked how it is: over its control socket, and by Prometheus.
import { lstatSync } from "node:fs"
import { describe, expect } from "vitest"
import { eventsOf, it, type Box } from "./Sealwire.ts"

const started = async (box: Box, ...args: ReadonlyArray<string>) => {
  const server = box.start(["serve", "--listen", "127.0.0.1:0", "--json", ...args])
  const address = await server.until("the listening event", ({ stdout }) =>
    eventsOf(stdout)
      .find(({ event }) => event === "listening")
      ?.address?.toString()
  )
  return { server, address }
}

describe.concurrent("status", () => {
  it("says who is in and what was done, to this user alone", async ({ box }) => {
    const { server, address } = await started(box, "--control", "./control")
    expect(lstatSync(box.path("control")).mode & 0o777).toBe(0o600)
    expect((await box.run(["send", "--to", address, "one", "three"])).code).toBe(0)
    const lines = box.start(["send", "--to", address, "--lines"], { stdin: "open" })
    await server.until(
      "the second session",
      ({ stdout }) => eventsOf(stdout).filter(({ event }) => event === "session-started").length > 1
    )
    const asked = await box.run(["status", "./control", "--json"])
    expect(JSON.parse(asked.stdout.toString())).toMatchObject({
      pid: server.pid,
      address,
      halfOpen: 0,
      sessions: [{ suite: "NNpsk0", messages: 0 }],
      total: { sessions: 2, messages: 2, bytes: 8, refused: 0 }
    })
    const shown = (await box.run(["status", "./control"])).stdout.toString().split("\n")
    expect(shown[1]).toBe("2 messages handled (8 bytes); 2 sessions in all, 0 failed; 0 strangers refused")
    expect(shown[2]).toBe("1 session now, 0 half open")
    expect(shown[3]).toMatch(/^ {2}127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +NNpsk0 +in since \S+Z +0 messages, 0 bytes$/)
    lines.kill("SIGTERM")
    server.kill("SIGTERM")
    expect(await server.exited()).toBe(143)
    expect(box.names).not.toContain("control")
  })

  it("of a server that is not there, or at a socket that is another's, is one line", async ({ box }) => {
    const { code, stderr } = await box.run(["status", "./none"])
    expect([code, stderr]).toEqual([
      5,
      "sealwire: cannot connect to unix:./none: there is no socket at that path; is the server running?\n"
    ])
  })
})

describe.concurrent("metrics", () => {
  it("are counted, and health is told", async ({ box }) => {
    const port = 20_000 + (process.pid % 20_000)
    const { address } = await started(box, "--metrics", `127.0.0.1:${port}`)
    expect((await box.run(["send", "--to", address, "hello"])).code).toBe(0)
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return [response.status, await response.text()] as const
    }
    expect(await get("/health")).toEqual([200, "ok\n"])
    const [status, text] = await get("/metrics")
    expect([status, text.includes("\nsealwire_messages_total 1\n"), text.includes("\nsealwire_message_bytes_total 5\n")]).toEqual(
      [200, true, true]
    )
    expect(text.split("\n").filter((line) => line !== "" && !/^(# (HELP|TYPE) )?sealwire_[a-z_]+ /.test(line))).toEqual([])
    expect((await get("/"))[0]).toBe(404)
  })

  it("leave this machine for nobody", async ({ box }) => {
    const { code, stderr } = await box.run(["serve", "--metrics", "0.0.0.0:9100"])
    expect([code, stderr]).toEqual([
      2,
      "sealwire: --metrics: figures go out in clear; name an address of this machine alone, such as :9100; see: sealwire serve --help\n"
    ])
  })
})
