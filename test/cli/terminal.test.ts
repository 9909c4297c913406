// A peer's message on a terminal. script (util-linux) provides the pseudo-terminal.
import { existsSync } from "node:fs"
import { describe, expect } from "vitest"
import { bin, it, type Box } from "./Sealwire.ts"

const hasScript = existsSync("/usr/bin/script")

const listening = "press Ctrl-C to stop\r\n"

/** Starts `classic serve` on a terminal, whose output is the log, then the messages. */
const startOnTerminal = async (
  box: Box,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
) => {
  const command = `${process.execPath} ${bin} classic serve ${args.join(" ")} --listen unix:./terminal.sock`
  const terminal = box.startOther("script", ["-qec", command, "/dev/null"], {
    env: { TERM: "xterm", ...env }
  })
  const part = (index: number) => terminal.stdout.toString().split(listening)[index] ?? ""
  await terminal.until("the listening line", ({ stdout }) => stdout.includes(listening))
  return { terminal, log: () => part(0), shown: () => part(1) }
}

const send = (box: Box, message: string | Uint8Array) =>
  box.run(["classic", "send", "--to", "unix:./terminal.sock"], { stdin: message })

/** The terminal output of `classic serve --once` for this message: the log, then the message. */
const session = async (
  box: Box,
  message: string | Uint8Array,
  env: Readonly<Record<string, string>> = {}
) => {
  const { terminal, log, shown } = await startOnTerminal(box, ["--once"], env)
  await send(box, message)
  expect((await terminal.ended()).code).toBe(0)
  return { log: log(), shown: shown() }
}

describe.runIf(hasScript)("a message on a terminal", () => {
  const texts = [
    ["escape sequences", "\u001b]0;title\u0007\u001b[2Jgone", "\\x1b]0;title\\x07\\x1b[2Jgone"],
    ["a carriage return", "rm -rf /\rls", "rm -rf /\\x0dls"],
    ["backspaces", "bad\b\b\bgood", "bad\\x08\\x08\\x08good"],
    ["a bidi override", "user\u202etxt.exe", "user\\u202etxt.exe"],
    ["C1 controls", "\u009b2J", "\\x9b2J"],
    ["bytes that are no text", Buffer.from([0x41, 0x9b, 0xff, 0x1b, 0x42]), "A\\x9b\\xff\\x1bB"],
    ["text of every kind", "grüße 你好 🙂\ttab", "grüße 你好 🙂\ttab"]
  ] as const

  it("is shown escaped", async ({ box }) => {
    const { terminal, shown } = await startOnTerminal(box, [])
    let before = ""
    for (const [what, message, expected] of texts) {
      await send(box, message)
      const line = `${expected}\r\n`
      await terminal.until(what, () => shown().length >= before.length + line.length)
      expect([what, shown()]).toEqual([what, before + line])
      before = shown()
    }
  })

  it("keeps its lines, and gets a newline only if it has none", async ({ box }) => {
    expect((await session(box, "one\ntwo\n")).shown).toBe("one\r\ntwo\r\n")
  })

  it("follows a coloured warning, without colour with NO_COLOR", async ({ box }) => {
    expect((await session(box, "text")).log).toContain(
      "sealwire: \u001b[33mwarning: \u001b[0maes-128-cbc has no integrity"
    )
    const plain = await session(box, "text", { NO_COLOR: "1" })
    expect(plain.log).toContain("sealwire: warning: aes-128-cbc has no integrity")
    expect(plain.log).not.toContain("\u001b")
  })

  it("of a reply is also escaped", async ({ box }) => {
    const server = box.start([
      "serve",
      "--listen",
      "unix:./s.sock",
      "--inbox",
      "exec:printf '\\033[2Jgone'"
    ])
    await server.until("the listening line", ({ stderr }) => stderr.includes("listening on"))
    const command = `${process.execPath} ${bin} send --reply hi --to unix:./s.sock`
    const terminal = box.startOther("script", ["-qec", command, "/dev/null"], {
      env: { TERM: "xterm" }
    })
    expect(await terminal.ended()).toMatchObject({
      code: 0,
      stdout: Buffer.from("\\x1b[2Jgone\r\n")
    })
  })
})
