// `send --lines` and `--retry` of the built command: pipes, files, and servers that are killed.
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, openSync, closeSync, readFileSync } from "node:fs"
import { describe, expect } from "vitest"
import { Secret } from "../../src/bytes/Secret.ts"
import { SharedKey } from "../../src/keys/KeyKind.ts"
import * as KeyText from "../../src/keys/KeyText.ts"
import { runs } from "../fixtures/sample.ts"
import {
  bin,
  eventsOf,
  it,
  linesOf,
  within,
  type Box,
  type Options,
  type Running
} from "./Sealwire.ts"

const socket = "unix:./s.sock"
const giveKey = (box: Box) =>
  box.write("sealwire.key", KeyText.encode(SharedKey, new Secret(randomBytes(32))))

/** Starts `serve` at the socket of the box, with `--json` by default. */
const serve = async (
  box: Box,
  args: ReadonlyArray<string> = ["--json"],
  listen = socket
): Promise<Running> => {
  if (!existsSync(box.path("sealwire.key"))) giveKey(box)
  return box.listen(["serve", "--listen", listen, ...args])
}

const sendLines = (
  box: Box,
  stdin: Exclude<Options["stdin"], undefined>,
  ...args: ReadonlyArray<string>
) =>
  box.start(["send", "--lines", ...(args.includes("--to") ? [] : ["--to", socket]), ...args], {
    stdin
  })

const messagesOf = (server: Running): ReadonlyArray<string> =>
  eventsOf(server.stdout)
    .filter(({ event }) => event === "message-received")
    .map(({ text, base64 }) =>
      text === undefined ? Buffer.from(String(base64), "base64").toString("latin1") : String(text)
    )

/** About the length of an event of a received message. */
const eventBytes = 200

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`)

describe("each line", () => {
  it.for([
    ["with CRLF keeps its CR", "one\r\ntwo\r\n", ["one\r", "two\r"]],
    ["at the end may lack its newline", "one\ntwo", ["one", "two"]],
    ["may be empty", "\n\none\n\n", ["", "", "one", ""]],
    ["may be any bytes", Buffer.from("\xff\x00\n\x01\n", "latin1"), ["\xff\x00", "\u0001"]],
    [
      "may be longer than a pipe holds",
      `${"x".repeat(300_000)}\nafter\n`,
      ["x".repeat(300_000), "after"]
    ],
    ["is absent for empty input", "", []]
  ] as const)("%s", async ([, input, expected], { box }) => {
    const server = await serve(box)
    expect(await sendLines(box, input).ended()).toMatchObject({
      code: 0,
      stdout: Buffer.alloc(0),
      stderr: ""
    })
    expect(messagesOf(server)).toEqual(expected)
  })

  it("is read from a file as from a pipe", async ({ box }) => {
    const server = await serve(box)
    box.write("lines", `${numbered(5_000).join("\n")}\n`)
    const file = openSync(box.path("lines"), "r")
    box.defer(() => closeSync(file))
    const sent = box.start(["send", "--lines", "--to", socket, "--json"], {
      stdio: [file, "pipe", "pipe"]
    })
    const { code, stdout } = await sent.ended()
    expect([code, eventsOf(stdout)]).toMatchObject([
      0,
      [{ event: "messages-delivered", messages: 5_000 }]
    ])
    expect(messagesOf(server)).toEqual(numbered(5_000))
  })

  it("is sent when it arrives, not when the input ends", async ({ box }) => {
    const server = await serve(box)
    const sending = sendLines(box, "open")
    sending.type("at once\nand half")
    await server.until("the first line", (it) => messagesOf(it).includes("at once"))
    sending.type(" a line\n")
    await server.until("the second", (it) => messagesOf(it).includes("and half a line"))
    expect(sending.alive).toBe(true)
  })

  it("longer than 16 MiB is reported by number after the lines before it are delivered", async ({
    box
  }) => {
    const server = await serve(box)
    const most = 16 * 1024 * 1024
    const whole = Buffer.concat([
      Buffer.from("one\n"),
      Buffer.alloc(most, 0x61),
      Buffer.from("\ntwo\n")
    ])
    const ends = ["\nnever\n", ""].slice(0, runs(1, 2))
    for (const end of ends) {
      const result = await sendLines(
        box,
        Buffer.concat([whole, Buffer.alloc(most + 1, 0x62), Buffer.from(end)])
      ).ended()
      expect(result).toMatchObject({
        code: 2,
        stderr:
          "sealwire: standard input: line 4 has more than 16,777,216 bytes, more than a message may have\n"
      })
    }
    expect(messagesOf(server).map(({ length }) => length)).toEqual(ends.flatMap(() => [3, most, 3]))
  })

  it("of two concurrent senders arrives, in the order of each", async ({ box }) => {
    const server = await serve(box)
    const all = ["a", "b"].map((name) =>
      numbered(runs(4_000, 20_000)).map((line) => `${name} ${line}`)
    )
    const ends = await Promise.all(all.map((lines) => sendLines(box, lines.join("\n")).ended()))
    expect(ends.map(({ code }) => code)).toEqual([0, 0])
    const messages = messagesOf(server)
    for (const [index, name] of ["a", "b"].entries())
      expect(messages.filter((message) => message.startsWith(name))).toEqual(all[index])
  })
})

describe("the command line", () => {
  it("--lines accepts no MESSAGE arguments and no directory", async ({ box }) => {
    giveKey(box)
    expect(await box.run(["send", "--lines", "text"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "--lines reads messages from standard input; remove the MESSAGE arguments"
      ) as unknown
    })
    const folder = openSync(box.cwd, "r")
    box.defer(() => closeSync(folder))
    const result = await box.start(["send", "--lines"], { stdio: [folder, "pipe", "pipe"] }).ended()
    expect([result.code, result.stderr]).toEqual([
      2,
      "sealwire: standard input: is a directory; name a file\n"
    ])
  })

  it("an unreachable server is not retried without --retry", async ({ box }) => {
    giveKey(box)
    for (const input of ["line\n", ""])
      expect(await sendLines(box, input).ended()).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(/^sealwire: cannot connect to .*\n$/) as unknown
      })
    const waiting = sendLines(box, "line\n", "--retry", "1m", "--json")
    await waiting.until("a second attempt", (it) => eventsOf(it.stdout).length > 1)
    const server = await serve(box)
    const { code, stdout } = await waiting.ended()
    expect([code, messagesOf(server)]).toEqual([0, ["line"]])
    expect(eventsOf(stdout)[0]).toMatchObject({
      event: "retry-scheduled",
      address: socket,
      acknowledged: 0
    })
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: "messages-delivered", messages: 1 })
  })

  it("a message that rules or the handler refuse is not sent again", async ({ box }) => {
    const server = await serve(box, ["--inbox", "exec:grep good"])
    const sending = sendLines(box, "open", "--retry", "1h")
    sending.type("good\n")
    await server.until("the command", ({ stderr }) => stderr.includes("good"))
    await new Promise((done) => setTimeout(done, 200))
    sending.type("bad\n")
    expect(await sending.ended()).toMatchObject({
      code: 8,
      stderr: expect.stringContaining("messages handled before it: 1") as unknown
    })
  })
})

/** A producer that writes endlessly and counts the bytes written. */
const endless = (
  box: Box,
  write: (chunk: Buffer, done: (error?: Error | null) => void) => void
) => {
  const chunk = Buffer.from(`${"x".repeat(99)}\n`.repeat(1_000))
  const wrote = { bytes: 0, stopped: false }
  const again = (error?: Error | null) => {
    if (error || wrote.stopped) return
    wrote.bytes += chunk.length
    write(chunk, again)
  }
  box.defer(() => (wrote.stopped = true))
  write(chunk, again)
  return wrote
}

describe("while the server", () => {
  it("stalls, the producer of the lines stalls too, and the memory of send stays bounded", async ({
    box
  }) => {
    box.useProcesses("serve")
    const server = await serve(box)
    const child = spawn(process.execPath, [bin, "send", "--lines", "--to", socket], {
      cwd: box.cwd,
      env: { HOME: box.cwd, PATH: process.env.PATH },
      stdio: ["pipe", "ignore", "ignore"]
    })
    box.defer(() => child.kill("SIGKILL"))
    child.stdin.on("error", () => {})
    child.stdin.write("first\n")
    await server.until("the first message", (it) => messagesOf(it).length > 0)
    server.kill("SIGSTOP")
    box.defer(() => server.kill("SIGCONT"))
    const wrote = endless(box, (chunk, done) => child.stdin.write(chunk, done))
    const memory = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024
    let [before, calm] = [-1, 0]
    for (let turn = 0; turn < 100 && calm < 8; turn++) {
      await new Promise((done) => setTimeout(done, 100))
      calm = wrote.bytes === before && wrote.bytes > 0 ? calm + 1 : 0
      before = wrote.bytes
    }
    // 16,384 messages, 4 MiB, and the buffers of pipe and streams.
    expect(calm).toBe(8)
    expect(wrote.bytes).toBeGreaterThan(500_000)
    expect(wrote.bytes).toBeLessThan(8 * 1024 * 1024)
    expect(memory()).toBeLessThan(300)
  })

  it("is killed and restarted, each line arrives, first occurrences in order", async ({ box }) => {
    box.useProcesses("serve")
    const lines = numbered(runs(10_000, 20_000))
    let server = await serve(box, ["--json"], "127.0.0.1:0")
    const servers = [server]
    const address = String(eventsOf(server.stdout)[0]?.address)
    const sending = sendLines(box, "open", "--to", address, "--retry", "1m", "--json")
    // In parts, so that lines are sent while the server restarts.
    const feed = async () => {
      for (let at = 0; at < lines.length; at += 500) {
        sending.type(`${lines.slice(at, at + 500).join("\n")}\n`)
        await new Promise((done) => setTimeout(done, 25))
      }
      sending.closeInput()
    }
    const feeding = feed()
    for (let kill = 0; kill < 2; kill++) {
      // Not messagesOf: to parse everything at each chunk takes longer than to print it.
      await server.until("some lines", ({ stdout }) => stdout.length > 1_000 * eventBytes)
      await server.crash()
      server = await serve(box, ["--json"], address)
      servers.push(server)
    }
    await feeding
    const { code, stdout } = await sending.ended()
    expect(code).toBe(0)
    const events = eventsOf(stdout)
    expect(events.some(({ event }) => event === "retry-scheduled")).toBe(true)
    expect(events.at(-1)).toMatchObject({ event: "messages-delivered", messages: lines.length })
    // A killed server may have printed lines that it did not acknowledge: the next one prints them
    // again.
    const printed = servers.flatMap(messagesOf)
    expect([...new Set(printed)]).toEqual(lines)
    for (const one of servers) expect(new Set(messagesOf(one)).size).toBe(messagesOf(one).length)
  })

  it("is killed and --retry is 0, the exit code is 7 with counts, or 5 without a receipt", async ({
    box
  }) => {
    box.useProcesses("serve")
    const some = await serve(box)
    const sending = sendLines(box, "open", "--retry", "0")
    sending.type("one\ntwo\n")
    await some.until("the messages", (it) => messagesOf(it).length === 2)
    // Waits for their receipts.
    await new Promise((done) => setTimeout(done, 200))
    await some.crash()
    const seven = await sending.ended()
    expect([seven.code, linesOf(seven.stderr)]).toEqual([
      7,
      [
        expect.stringMatching(
          /^sealwire: every message sent so far was acknowledged, then the server became unreachable/
        )
      ]
    ])

    const none = await serve(box)
    const idle = sendLines(box, "open", "--retry", "0")
    await none.until("the session", (it) =>
      eventsOf(it.stdout).some(({ event }) => event === "session-started")
    )
    // The session is ready; a server that closes earlier looks like one that refuses the key.
    await new Promise((done) => setTimeout(done, 300))
    none.kill("SIGKILL")
    expect((await idle.ended()).code).toBe(5)
  })

  it("restarts, keys from a descriptor are not read again", async ({ box }) => {
    box.useProcesses("serve")
    const server = await serve(box)
    const key = openSync(box.path("sealwire.key"), "r")
    box.defer(() => closeSync(key))
    const sending = box.start(["send", "--lines", "--to", socket, "--key", "fd:3"], {
      stdio: ["pipe", "pipe", "pipe", key]
    })
    sending.type("before\n")
    await server.until("the message", (it) => messagesOf(it).length === 1)
    await server.crash()
    const next = await serve(box)
    sending.type("after\n")
    await next.until("the next message", (it) => messagesOf(it).includes("after"))
    sending.closeInput()
    expect((await sending.ended()).code).toBe(0)
  })

  it("is running, Ctrl-C ends send at once with 130", async ({ box }) => {
    const server = await serve(box)
    const sending = sendLines(box, "open")
    sending.type("one\n")
    await server.until("the message", (it) => messagesOf(it).length === 1)
    sending.kill("SIGINT")
    expect(await sending.ended()).toMatchObject({ code: 130, stdout: Buffer.alloc(0) })
    expect((await box.run(["send", "next", "--to", socket])).code).toBe(0)
  })
})

describe.runIf(existsSync("/usr/bin/script"))("progress", () => {
  const command = `${process.execPath} ${bin} send --lines --to ${socket} --retry 1m`
  const shown = /\r\u001b\[K([\d,]+) messages? sent, ([\d,]+) acknowledged, [\d,]+\/s/

  it("is shown on a terminal, cleared for other lines, and cleared at the end", async ({ box }) => {
    box.useProcesses("serve")
    const server = await serve(box)
    box.write("feed.sh", "echo one; sleep 4; echo two; cat fifo\n")
    expect((await box.runOther("mkfifo", ["fifo"])).code).toBe(0)
    const terminal = box.startOther("script", ["-qec", `sh feed.sh | ${command}`, "/dev/null"], {
      env: { TERM: "xterm" }
    })
    const progress = await terminal.until(
      "progress",
      ({ stdout }) => shown.exec(stdout.toString()) ?? undefined
    )
    expect(progress[1]).toBe("1")
    server.kill("SIGKILL")
    await terminal.until("the retry", ({ stdout }) => stdout.includes("retrying in"))
    // The progress line was cleared before the warning.
    expect(terminal.stdout.toString()).toMatch(/\/s\r\u001b\[Ksealwire: \u001b\[33mwarning: /)
    await server.exited()
    const next = await serve(box)
    box.write("fifo.sh", "printf three > fifo\n")
    await within(box.runOther("sh", ["fifo.sh"]), "the rest")
    const { code, stdout } = await terminal.ended()
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/\r\u001b\[K$/)
    expect(messagesOf(next)).toContain("three")
  })

  it("is not drawn over typed lines", async ({ box }) => {
    const server = await serve(box)
    const terminal = box.startOther("script", ["-qec", command, "/dev/null"], {
      stdin: "open",
      env: { TERM: "xterm" }
    })
    await terminal.until("the line", ({ stdout }) =>
      stdout.includes("each line is a message; press Ctrl-D to end")
    )
    terminal.type("typed\n")
    await server.until("the message", (it) => messagesOf(it).includes("typed"))
    await new Promise((done) => setTimeout(done, 500))
    terminal.type("\u0004")
    const { code, stdout } = await terminal.ended()
    expect([code, shown.test(stdout.toString())]).toEqual([0, false])
  })

  it("is not shown when standard error is not a terminal", async ({ box }) => {
    await serve(box)
    const sending = sendLines(box, "open")
    sending.type("one\n")
    await new Promise((done) => setTimeout(done, 800))
    sending.closeInput()
    expect(await sending.ended()).toMatchObject({ code: 0, stderr: "", stdout: Buffer.alloc(0) })
  })
})
