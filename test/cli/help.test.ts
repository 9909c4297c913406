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

/** The arguments of sealwire in an example, without pipes and redirections. */
const wordsOf = (example: string): ReadonlyArray<string> => {
  const own =
    example
      .split("|")
      .map((part) => part.trim())
      .find((part) => part.startsWith("sealwire ")) ?? ""
  const words = own.split(">")[0]?.match(/"[^"]*"|\S+/g) ?? []
  return words.slice(1).map((word) => word.replace(/^"(.*)"$/, "$1"))
}

/** Parses the arguments as the command does, without running it; "refused" on a usage error. */
const parsed = (args: ReadonlyArray<string>) =>
  normalizeArguments(commandList, args).pipe(
    Effect.flatMap((normalized) =>
      CommandDescriptor.parse(
        commandTree(commands).descriptor,
        ["sealwire", ...normalized.words],
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

/** The page of `--help` after these words; each is requested once. */
const pageOf = (box: Box, words: ReadonlyArray<string>): Promise<Ended> => {
  const known = pagesByCommand.get(words.join(" ")) ?? box.run([...words, "--help"])
  pagesByCommand.set(words.join(" "), known)
  return known
}
const pagesByCommand = new Map<string, Promise<Ended>>()

describe("--help", () => {
  it("has pages to test", () => {
    expect(named.map(([name]) => name)).toContain("sealwire classic send")
  })

  it.for(named)(
    "of %s shows the examples first, and no escape codes in a pipe",
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

  it("has the alias -h", async ({ box }) => {
    expect(await box.run(["classic", "send", "-h"])).toEqual(await pageOf(box, ["classic", "send"]))
  })

  it("lists every shown command, and each has a page", async ({ box }) => {
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

  it("is the default without a command", async ({ box }) => {
    expect(await box.run([])).toEqual(await pageOf(box, []))
  })

  it("is an operand after --", async ({ box }) => {
    expect((await box.run(["classic", "send", "--", "--help"])).code).toBe(3)
  })

  it.runIf(hasScript)(
    "has escape codes on a terminal, but not with NO_COLOR or a dumb terminal",
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

  it("exist for every command and are in its help", async ({ box }) => {
    for (const { path, examples } of commands) {
      const text = (await pageOf(box, path)).stdout.toString()
      expect(examples.length).toBeGreaterThan(0)
      for (const [line, meaning] of examples)
        expect(text).toContain(`  ${line}\n      ${meaning}\n`)
    }
  })

  it.for(examples)("%s parses", async ([line, path]) => {
    const words = wordsOf(line)
    expect(words.slice(0, path.length)).toEqual(path)
    expect(await parsed(words)).toEqual({ leftover: [] })
  })

  it("with errors do not parse", async () => {
    expect(await parsed(wordsOf("date | sealwire classic send --too x:1"))).toBe("refused")
    expect(await parsed(wordsOf("sealwire classic serve --cipher rot13 > file"))).toBe("refused")
    expect(await parsed(wordsOf('sealwire classic send "one text" two'))).not.toEqual({
      leftover: []
    })
  })
})

describe("--version and --completions", () => {
  const { version } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8")
  ) as { version: string }

  it.for([[["--version"]], [["classic", "--version"]], [["classic", "send", "--version"]]])(
    "%s prints the version of the package",
    async ([args], { box }) => {
      expect(await box.run(args ?? [])).toEqual({
        code: 0,
        stdout: Buffer.from(`${version}\n`),
        stderr: ""
      })
    }
  )

  it.for(["bash", "zsh", "fish"])(
    "%s gets a script with every command and its options",
    async (shell, { box }) => {
      const { code, stdout, stderr } = await box.run(["--completions", shell])
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      const script = stdout.toString()
      for (const word of [...shown.flatMap(({ path }) => path), "cipher", "any-length"])
        expect(script).toContain(word)
      expect(script).not.toContain(escape)
    }
  )

  it("bash accepts its script", async ({ box }) => {
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
