// Runs every code block of README.md. `console` blocks are typed into terminals (bash, one per
// `terminal=NAME`): the lines after a command must be printed in that order, and `…` matches any
// text. `ts` blocks are run as programs.
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "..")
const blocks = [
  ...readFileSync(path.join(root, "README.md"), "utf8").matchAll(
    /^```(\w+)(?: terminal=(\w+))?\n([\s\S]*?)^```$/gm
  )
].map(([, language = "", terminal = "main", code = ""], index) => ({
  index,
  language,
  terminal,
  code
}))

let folder = ""
const terminals = new Map<
  string,
  { readonly shell: ChildProcessWithoutNullStreams; output: string; seen: number }
>()

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealwire-readme-"))
  mkdirSync(path.join(folder, "bin"))
  const command = `#!/bin/sh\nexec "${process.execPath}" "${path.join(root, "dist/sealwire.js")}" "$@"\n`
  writeFileSync(path.join(folder, "bin/sealwire"), command, { mode: 0o755 })
})
afterAll(() => {
  for (const { shell } of terminals.values())
    if (shell.pid !== undefined) process.kill(-shell.pid, "SIGKILL")
  rmSync(folder, { recursive: true, force: true })
  rmSync(path.join(root, "dist/readme"), { recursive: true, force: true })
})

const terminalOf = (name: string) => {
  const open = terminals.get(name)
  if (open !== undefined) return open
  const env = {
    ...process.env,
    PATH: `${path.join(folder, "bin")}:${process.env.PATH}`,
    NO_COLOR: "1",
    XDG_CONFIG_HOME: path.join(folder, "config")
  }
  const shell = spawn("bash", ["--norc"], {
    cwd: name === "main" ? root : folder,
    env,
    detached: true
  })
  const terminal = { shell, output: "", seen: 0 }
  for (const stream of [shell.stdout, shell.stderr])
    stream.on("data", (chunk: Buffer) => (terminal.output += chunk.toString()))
  terminals.set(name, terminal)
  return terminal
}

/** Waits until the terminal prints the line, after the lines matched before. */
const expectLine = async (terminal: { output: string; seen: number }, line: string) => {
  const pattern = new RegExp(
    line
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")
  )
  const deadline = Date.now() + 15_000
  for (;;) {
    const match = pattern.exec(terminal.output.slice(terminal.seen))
    if (match !== null) {
      terminal.seen += match.index + match[0].length
      return
    }
    if (Date.now() > deadline) expect(terminal.output.slice(terminal.seen)).toContain(line)
    await new Promise((done) => setTimeout(done, 20))
  }
}

it("README has code blocks, each in a language that is run", () => {
  expect(blocks.length).toBeGreaterThan(3)
  for (const { language } of blocks) expect(["console", "ts"]).toContain(language)
})

// The README uses the default port.
const taken = await new Promise<boolean>((done) => {
  const probe = createServer()
  probe.once("error", () => done(true))
  probe.listen(8080, "127.0.0.1", () => probe.close(() => done(false)))
})

// psql, and a PostgreSQL that accepts this user.
const psql = spawnSync("psql", ["-h", "127.0.0.1", "-d", "postgres", "-Atc", "SELECT 1"], {
  encoding: "utf8",
  timeout: 10_000
})
const hasPsql = psql.status === 0
if (!hasPsql)
  console.warn(
    "no psql, or no PostgreSQL for this user at 127.0.0.1: the psql line of README is skipped"
  )

describe.skipIf(taken)("README (skipped when something else has port 8080)", () => {
  const named = blocks.map(
    (block) => [`block ${block.index}, at ${block.terminal}`, block] as const
  )
  it.each(named)("%s", { timeout: 60_000 }, async (_, block) => {
    if (block.language === "ts") {
      const file = path.join(root, "dist/readme", `block${block.index}.ts`)
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(file, block.code)
      const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], {
        cwd: root,
        encoding: "utf8",
        timeout: 30_000
      })
      const prints = [...block.code.matchAll(/^\/\/ prints: (.*)$/gm)].map((match) => match[1])
      expect(prints.length).toBeGreaterThan(0)
      expect(stderr).toBe("")
      return expect(stdout.trimEnd().split("\n")).toEqual(prints)
    }
    const terminal = terminalOf(block.terminal)
    const lines = block.code.trimEnd().split("\n")
    for (const [index, line] of lines.entries()) {
      const asksPsql = [line, lines[index - 1]].some((one) => one?.startsWith("$ psql"))
      if (asksPsql && !hasPsql) continue
      // A command that reads standard input must not read the commands that follow.
      if (line.startsWith("$ ")) terminal.shell.stdin.write(`{ ${line.slice(2)}\n} < /dev/null\n`)
      else await expectLine(terminal, line)
    }
  })

  it(
    "the demonstration reports that port 8080 is taken, uses the next, and leaves no file behind",
    { timeout: 60_000 },
    async () => {
      // The server of the README has the port.
      const before = [
        readdirSync(root),
        readdirSync(tmpdir()).filter((name) => name.startsWith("sealwire-demo-"))
      ]
      const runs = [1, 2].map(
        () =>
          new Promise<{ readonly code: number | null; readonly output: string }>((done) => {
            const child = spawn(process.execPath, ["scripts/start.mjs"], {
              cwd: root,
              stdio: ["ignore", "pipe", "pipe"]
            })
            let output = ""
            for (const stream of [child.stdout, child.stderr])
              stream.on("data", (chunk: Buffer) => (output += chunk.toString()))
            child.once("close", (code) => done({ code, output }))
          })
      )
      for (const { code, output } of await Promise.all(runs)) {
        expect(output).toContain("port 8080 is in use; trying 8081")
        expect(output).toContain("server  decrypts them: Hello Server!")
        expect(code).toBe(0)
      }
      expect([
        readdirSync(root),
        readdirSync(tmpdir()).filter((name) => name.startsWith("sealwire-demo-"))
      ]).toEqual(before)
    }
  )

  it("the servers printed every message", async () => {
    const server = terminalOf("server")
    server.seen = 0
    for (const text of ["Hello Server!", "one", "two", "see you at 5"])
      await expectLine(server, text)
    const classic = terminalOf("classic")
    for (const text of ["Hello Server!", "from openssl"]) await expectLine(classic, text)
  })
})
