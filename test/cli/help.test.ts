import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync } from "node:fs"
import { describe, expect } from "vitest"
import { normalizeArguments } from "../../src/cli/arguments/normalizeArguments.ts"
import { commandList } from "../../src/cli/commands/index.ts"
import * as Help from "../../src/cli/arguments/Help.ts"
import { commandTree } from "../../src/cli/arguments/commandTree.ts"
import { bin, it, type Box, type Ended } from "./Sealwire.ts"

const { commands, groups, shown } = commandList

const pages = [
  [],
  ...Object.keys(groups).map((group) => [group]),
  ...commands.map(({ path }) => [...path])
]
const named = pages.map((words) => [["sealwire", ...words].join(" "), words] as const)

const hasScript = existsSync("/usr/bin/script")
const escape = "\u001b"

/** The words of the sealwire command in an example, without what is piped into it and where its output goes. */
const wordsOf = (example: string): ReadonlyArray<string> => {
  const own =
    example
      .split("|")
      .map((part) => part.trim())
      .find((part) => part.startsWith("sealwire ")) ?? ""
  const words = own.split(">")[0]?.match(/"[^"]*"|\S+/g) ?? []
  return words.slice(1).map((word) => word.replace(/^"(.*)"$/, "$1"))
}

/** The name of what would run, or the refusal: as the command does it, without running anything. */
const parsed = (args: ReadonlyArray<string>) =>
  normalizeArguments(commandList, args).pipe(
    Effect.flatMap((arranged) =>
      CommandDescriptor.parse(
        commandTree(commands).descriptor,
        ["sealwire", ...arranged.words],
        Help.cliConfig
      )
    ),
    Effect.map((directive) =>
      directive._tag === "UserDefined" ? { leftover: directive.leftover } : directive._tag
    ),
    Effect.catchAll(() => Effect.succeed("refused")),
    Effect.provide(NodeContext.layer),
    Effect.runPromise
  )

/** What `--help` behind these words shows; asked for once. */
const pageOf = (box: Box, words: ReadonlyArray<string>): Promise<Ended> => {
  const known = asked.get(words.join(" ")) ?? box.run([...words, "--help"])
  asked.set(words.join(" "), known)
  return known
}
const asked = new Map<string, Promise<Ended>>()

describe.concurrent("--help", () => {
  it("has pages to test", () => {
    expect(named.map(([name]) => name)).toContain("sealwire classic send")
  })

  it.for(named)(
    "of %s shows examples before anything else, and in a pipe no escape codes",
    async ([, words], { box }) => {
      const { code, stdout, stderr } = await pageOf(box, words)
      const text = stdout.toString()
      const headings = text.match(/^[A-Z][A-Z ]+$/gm) ?? []
      expect({ code, stderr, first: headings[0] }).toEqual({
        code: 0,
        stderr: "",
        first: "EXAMPLES"
      })
      expect(headings).toContain(
        commands.some(({ path }) => path.join(" ") === words.join(" ")) ? "OPTIONS" : "COMMANDS"
      )
      expect(text).toMatch(/EXAMPLES\n {2}\S/)
      expect(text).not.toContain(escape)
      expect(text).toMatch(/[^\n]\n$/)
    }
  )

  it("is also -h", async ({ box }) => {
    expect(await box.run(["classic", "send", "-h"])).toEqual(await pageOf(box, ["classic", "send"]))
  })

  it("lists every command that it shows, and each has its page", async ({ box }) => {
    const text = (await pageOf(box, [])).stdout.toString()
    for (const { path, summary } of shown) {
      const line = text
        .split("\n")
        .find((line) => line.startsWith(`  ${path.join(" ")}  `) && line.endsWith(`  ${summary}`))
      expect(line).toBeDefined()
      expect((await pageOf(box, path)).stdout.toString()).toContain(
        `sealwire ${path.join(" ")}: ${summary}\n`
      )
    }
  })

  it("is what no command at all shows", async ({ box }) => {
    expect(await box.run([])).toEqual(await pageOf(box, []))
  })

  it("after -- is a message", async ({ box }) => {
    expect((await box.run(["classic", "send", "--", "--help"])).code).toBe(3)
  })

  it.runIf(hasScript)(
    "has escape codes on a terminal, and none with NO_COLOR or a dumb one",
    async ({ box }) => {
      const onTerminal = async (env: Readonly<Record<string, string>>) =>
        (
          await box.runOther(
            "script",
            ["-qec", `${process.execPath} ${bin} classic send --help`, "/dev/null"],
            { env }
          )
        ).stdout
      expect(
        (await onTerminal({ TERM: "xterm" })).includes(`${escape}[1mEXAMPLES${escape}[0m`)
      ).toBe(true)
      for (const env of [{ TERM: "xterm", NO_COLOR: "1" }, { TERM: "dumb" }]) {
        const plain = await onTerminal(env)
        expect(plain.includes("EXAMPLES")).toBe(true)
        expect(plain.includes(escape)).toBe(false)
      }
      expect((await onTerminal({ TERM: "xterm", NO_COLOR: "" })).includes(escape)).toBe(true)
    }
  )
})

describe("examples", () => {
  const examples = commands.flatMap(({ path, examples }) =>
    examples.map(([line]) => [line, path] as const)
  )

  it("are there for every command, and in its help", async ({ box }) => {
    for (const { path, examples } of commands) {
      const text = (await pageOf(box, path)).stdout.toString()
      expect(examples.length).toBeGreaterThan(0)
      for (const [line, meaning] of examples)
        expect(text).toContain(`  ${line}\n      ${meaning}\n`)
    }
  })

  it.for(examples)("%s is understood", async ([line, path]) => {
    const words = wordsOf(line)
    expect(words.slice(0, path.length)).toEqual(path)
    expect(await parsed(words)).toEqual({ leftover: [] })
  })

  it("that are wrong would be noticed", async () => {
    expect(await parsed(wordsOf("date | sealwire classic send --too x:1"))).toBe("refused")
    expect(await parsed(wordsOf("sealwire classic serve --cipher rot13 > file"))).toBe("refused")
    expect(await parsed(wordsOf('sealwire classic send "one text" two'))).not.toEqual({
      leftover: []
    })
  })
})

describe.concurrent("--version and --completions", () => {
  const { version } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8")
  ) as { version: string }

  it.for([[["--version"]], [["classic", "--version"]], [["classic", "send", "--version"]]])(
    "%s is that of the package",
    async ([args], { box }) => {
      expect(await box.run(args ?? [])).toEqual({
        code: 0,
        stdout: Buffer.from(`${version}\n`),
        stderr: ""
      })
    }
  )

  it.for(["bash", "zsh", "fish"])(
    "%s gets a script that knows every command and its options",
    async (shell, { box }) => {
      const { code, stdout, stderr } = await box.run(["--completions", shell])
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      const script = stdout.toString()
      for (const word of [...shown.flatMap(({ path }) => path), "cipher", "any-length"])
        expect(script).toContain(word)
      expect(script).not.toContain(escape)
    }
  )

  it("bash takes its script", async ({ box }) => {
    const script = (await box.run(["--completions", "bash"])).stdout
    expect(await box.runOther("bash", ["-n"], { stdin: script })).toMatchObject({
      code: 0,
      stderr: ""
    })
    expect(
      (await box.runOther("bash", ["-n"], { stdin: `${script.toString()}\nif` })).code
    ).not.toBe(0)
  })
})
