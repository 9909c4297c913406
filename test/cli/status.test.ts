// The status of a running server: over its control socket, and for Prometheus.
import { lstatSync } from "node:fs"
import { request } from "node:http"
import net from "node:net"
import path from "node:path"
import { describe, expect } from "vitest"
import { eventsOf, it, type Box } from "./Sealwire.ts"

/** The repository: commands of concurrent tests change the working directory of this process. */
const root = path.resolve(import.meta.dirname, "../..")

const started = async (box: Box, ...args: ReadonlyArray<string>) => {
  const server = await box.listen(["serve", "--listen", "127.0.0.1:0", "--json", ...args])
  return { server, address: server.address }
}

describe("status", () => {
  it("shows sessions and counters, to this user alone", async ({ box }) => {
    box.useProcesses("serve")
    const { server, address } = await started(box, "--control", "./control")
    expect(lstatSync(box.path("control")).mode & 0o777).toBe(0o600)
    expect((await box.run(["send", "--to", address, "one", "three"])).code).toBe(0)
    const lines = box.start(["send", "--to", address, "--lines"], { stdin: "open" })
    await server.until(
      "the second session",
      ({ stdout }) => eventsOf(stdout).filter(({ event }) => event === "session-started").length > 1
    )
    const status = await box.run(["status", "./control", "--json"])
    expect(JSON.parse(status.stdout.toString())).toMatchObject({
      event: "server-status",
      pid: server.pid,
      address,
      halfOpen: 0,
      sessions: [{ suite: "NNpsk0", service: "message", counted: {} }],
      total: { sessions: 2, refused: 0 },
      counted: { message: { messages: 2, bytes: 8 } }
    })
    const shown = (await box.run(["status", "./control"])).stdout.toString().split("\n")
    expect(shown.slice(1, 5)).toEqual([
      "messages: 2 (8 bytes)",
      "sessions: 1 open, 2 in total (0 failed)",
      "connections: 0 in the handshake, 0 refused",
      expect.stringMatching(/^PEER +ADDRESS +SUITE +SERVICE +SINCE +TRAFFIC$/)
    ])
    expect(shown[5]).toMatch(/^127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +NNpsk0 +message +\S+Z +-$/)
    lines.kill("SIGTERM")
    server.kill("SIGTERM")
    expect(await server.exited()).toBe(0)
    expect(box.names).not.toContain("control")
  })

  it("rejects a socket of another program, and escapes its answer", async ({ box }) => {
    let answer = ""
    const liar = net
      .createServer((socket) => socket.on("error", () => {}).end(answer))
      .listen(box.path("liar"))
    box.defer(() => liar.close())
    for (answer of ["", "{}", "[1]", '{"total":{},"sessions":3,"counted":{}}', "not JSON"]) {
      const { code, stderr } = await box.run(["status", "./liar"])
      expect([answer, code, stderr]).toEqual([
        answer,
        6,
        "sealwire: ./liar is not the control socket of a Sealwire server (serve --control)\n"
      ])
    }
    const total = { sessions: 0, refused: 0, failed: 0 }
    const escapes = {
      pid: "\u001b]0;title\u0007",
      address: "\u001b[31m",
      counted: { "\u001b[1m": { "\u001b[2m": "\u001b[3m" } }
    }
    answer = JSON.stringify({
      ...escapes,
      since: 0,
      at: 0,
      halfOpen: 0,
      sessions: [],
      total,
      inbox: { fault: "\u001b[31m" }
    })
    const { code, stdout } = await box.run(["status", "./liar"])
    expect([code, stdout.includes(0x1b), stdout.includes(0x07)]).toEqual([0, false, false])
  })

  it("reports a socket without a server", async ({ box }) => {
    const { code, stderr } = await box.run(["status", "./none"])
    expect([code, stderr]).toEqual([
      5,
      "sealwire: cannot connect to unix:./none: no socket at that path; is the server running?\n"
    ])
  })
})

/** A port below the range of ephemeral ports. */
const portOf = (number: number): number => 20_000 + (number % 12_000)

describe("an inbox that keeps messages", () => {
  const statusOf = async (box: Box) =>
    JSON.parse((await box.run(["status", "./control", "--json"])).stdout.toString()) as object

  it("reports its messages and the oldest one, or why it is unavailable", async ({ box }) => {
    const port = portOf(process.pid + 1)
    const { address } = await started(
      box,
      "--control",
      "./control",
      "--inbox",
      "./inbox.db",
      "--metrics",
      `127.0.0.1:${port}`
    )
    expect(await statusOf(box)).toMatchObject({ inbox: { messages: 0 } })
    const before = Date.now()
    expect((await box.run(["send", "--to", address, "one", "two"])).code).toBe(0)
    const { inbox } = (await statusOf(box)) as {
      readonly inbox: { readonly messages: number; readonly oldest: number }
    }
    expect(inbox.messages).toBe(2)
    expect(inbox.oldest).toBeGreaterThanOrEqual(before)
    const shown = (await box.run(["status", "./control"])).stdout.toString().split("\n")
    expect(shown[4]).toMatch(/^inbox: 2 messages, oldest from \S+Z$/)
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toMatch(
      /\nsealwire_inbox_readable 1\n(.*\n){2}sealwire_inbox_messages 2\n/
    )
    // Another process locks the file exclusively.
    const locking = box.startOther(
      process.execPath,
      ["-e", lockExclusively, "--", box.path("inbox.db")],
      { cwd: root }
    )
    await locking.until("the lock", ({ stdout }) => stdout.includes("locked"))
    expect(await statusOf(box)).toMatchObject({
      inbox: { fault: expect.stringMatching(/no response|keeps the file|locked/) as unknown }
    })
  })

  it("is shown by status --watch with the message rate", async ({ box }) => {
    const { address } = await started(box, "--control", "./control", "--inbox", "./inbox.db")
    const watching = box.start(["status", "./control", "--watch"])
    await watching.until("the first look", ({ stdout }) => stdout.includes("inbox: 0 messages"))
    expect((await box.run(["send", "--to", address, "one"])).code).toBe(0)
    await watching.until("the message, and the rate", ({ stdout }) =>
      /messages: 1 \(3 bytes, \d+\/s\)/.test(stdout.toString())
    )
  })
})

/** A program that locks a SQLite file until it is killed. */
const lockExclusively =
  "const D = require('libsql'); const d = new D(process.argv[1]); d.exec('BEGIN IMMEDIATE'); console.log('locked'); setInterval(() => d.open, 1000)"

describe("metrics", () => {
  it("counts messages, and answers /health", async ({ box }) => {
    const port = portOf(process.pid)
    const { address } = await started(box, "--metrics", `127.0.0.1:${port}`)
    expect((await box.run(["send", "--to", address, "hello"])).code).toBe(0)
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return [response.status, await response.text()] as const
    }
    expect(await get("/health")).toEqual([200, "ok\n"])
    const [status, text] = await get("/metrics")
    expect([
      status,
      text.includes("\nsealwire_messages_total 1\n"),
      text.includes("\nsealwire_message_bytes_total 5\n")
    ]).toEqual([200, true, true])
    expect(
      text
        .split("\n")
        .filter(
          (line) => line !== "" && !/^(# (HELP|TYPE) )?sealwire_[a-z_]+(\{[^}]*\})? /.test(line)
        )
    ).toEqual([])
    expect((await get("/"))[0]).toBe(404)
    // DNS rebinding: a foreign host name that resolves to loopback.
    const foreign = await new Promise((resolve) =>
      request(
        { host: "127.0.0.1", port, path: "/metrics", headers: { host: "evil.example" } },
        ({ statusCode }) => resolve(statusCode)
      ).end()
    )
    expect(foreign).toBe(403)
  })

  it("refuses an address that other machines reach", async ({ box }) => {
    const { code, stderr } = await box.run(["serve", "--metrics", "0.0.0.0:9100"])
    expect([code, stderr]).toEqual([
      2,
      "sealwire: --metrics: metrics are not encrypted; use a loopback address, such as :9100, or add --unsafe-metrics-to-anyone; see: sealwire serve --help\n"
    ])
  })
})
