import * as Command from "@effect/cli/CommandDescriptor"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync } from "node:fs"
import { describe, expect } from "vitest"
import { commandTree, parserConfig } from "../../src/cli/arguments/commandTree.ts"
import { descriptionOf, usageOf } from "../../src/cli/arguments/describe.ts"
import { globalOptionsOf } from "../../src/cli/arguments/globalOptions.ts"
import { rootExamples } from "../../src/cli/arguments/Help.ts"
import { normalizeArguments } from "../../src/cli/arguments/normalizeArguments.ts"
import { topics } from "../../src/cli/arguments/topics.ts"
import { commandList } from "../../src/cli/commands/index.ts"
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
      Command.parse(
        commandTree(commands).descriptor,
        ["sealwire", ...normalized.words],
        parserConfig
      )
    ),
    Effect.map((directive) =>
      directive._tag === "UserDefined" ? { leftover: directive.leftover } : directive._tag
    ),
    Effect.catchAll(() => Effect.succeed("refused")),
    Effect.provide(NodeContext.layer),
    Effect.runPromise
  )

/** The output of the command with these arguments and COLUMNS; each runs once. */
const outputOf = (box: Box, words: ReadonlyArray<string>, columns = 80): Promise<Ended> => {
  const key = [columns, ...words].join(" ")
  const known = outputs.get(key) ?? box.run(words, { env: { COLUMNS: String(columns) } })
  outputs.set(key, known)
  return known
}
const outputs = new Map<string, Promise<Ended>>()

const textOf = async (box: Box, words: ReadonlyArray<string>, columns = 80): Promise<string> => {
  const { code, stdout, stderr } = await outputOf(box, words, columns)
  expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: "" })
  return stdout.toString()
}

/** A text without its line breaks and the continuation of commands. */
const joined = (text: string): string => text.replace(/ \\\n/g, " ").replace(/\s+/g, " ")

describe("the root help", () => {
  it("fits on one screen: at most 40 lines of 80 columns", async ({ box }) => {
    const text = await textOf(box, [])
    expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(40)
    expect(await textOf(box, ["--help"])).toBe(text)
    expect(await textOf(box, ["help"])).toBe(text)
  })

  it("lists each command once under its heading; a group is one row", async ({ box }) => {
    const text = await textOf(box, [])
    const rows = text.split("\n").flatMap((line) => /^ {2}([a-z-]+) {2,}\S/.exec(line)?.[1] ?? [])
    const names = new Set(shown.map(({ path }) => path[0]).filter((name) => name !== "help"))
    expect(rows).toEqual([...new Set(rows)])
    expect(new Set(rows)).toEqual(names)
    for (const { group } of shown) expect(text).toContain(`\n${group.toUpperCase()}\n`)
  })

  it.for(rootExamples)("%s parses", async ([line]) => {
    expect(await parsed(wordsOf(line))).toEqual({ leftover: [] })
  })
})

describe("the help of a command", () => {
  it.for(commands.map((command) => [usageOf(command), command] as const))(
    "%s: usage, examples, every argument and option with its description",
    async ([usage, command], { box }) => {
      const { path, summary, about = "", examples, operands, options } = command
      const text = await textOf(box, [...path, "--help"])
      const headings = text.match(/^[A-Z][A-Z ]+$/gm) ?? []
      expect(headings.slice(0, 2)).toEqual(["USAGE", "EXAMPLES"])
      expect(headings.at(-1)).toBe("EVERY COMMAND")
      const flat = joined(text)
      expect(flat).toContain(`sealwire ${path.join(" ")}: ${summary} ${about}`.trim())
      expect(flat).toContain(joined(`USAGE ${usage} EXAMPLES`))
      expect(examples.length).toBeGreaterThan(0)
      for (const [line, meaning] of examples) expect(flat).toContain(joined(`${line} ${meaning}`))
      for (const { describe } of operands) expect(flat).toContain(joined(describe))
      for (const option of [...options, ...globalOptionsOf(command)]) {
        expect(option.describe).toMatch(/^[A-Z].*[.)]$/)
        expect(flat).toContain(
          joined(`--${option.name} ${option.value ?? ""} ${descriptionOf(option)}`)
        )
      }
      expect(await textOf(box, ["help", ...path])).toBe(text)
    }
  )

  it.for(commands.map(({ path }) => [path.join(" "), path] as const))(
    "%s -h is shorter and has every option",
    async ([, path], { box }) => {
      const [short, long] = [
        await textOf(box, [...path, "-h"]),
        await textOf(box, [...path, "--help"])
      ]
      const lineCount = (text: string) => text.split("\n").length
      expect(lineCount(short)).toBeLessThan(lineCount(long))
      const optionsOf = (text: string, indented: RegExp) =>
        [...text.matchAll(indented)].map(([, name]) => name)
      expect(optionsOf(short, /^ {2}(?:-[a-zA-Z], | {4})(--[a-z-]+)/gm)).toEqual(
        optionsOf(long, /^ {2}(?:-[a-zA-Z], )?(--[a-z-]+)/gm)
      )
      expect(short).toContain(`More: sealwire ${path.join(" ")} --help`)
    }
  )

  it("is an operand after --", async ({ box }) => {
    expect((await box.run(["classic", "send", "--", "--help"])).code).toBe(3)
  })
})

describe("every page", () => {
  it.for(named)("of %s is wrapped at 80 and 60 columns", async ([, words], { box }) => {
    for (const columns of [80, 60]) {
      const text = await textOf(box, [...words, "--help"], columns)
      expect(text).not.toContain(escape)
      expect(text).toMatch(/[^\n]\n$/)
      const long = text
        .split("\n")
        .filter((line) => line.length > columns && /\S \S/.test(line.trim()))
        // A line of one long word, or of one quoted argument, has no place to break.
        .filter((line) => !/^ *(\S+|"[^"]*"|\S*='[^']*'|'[^']*')( \\)?$/.test(line))
      expect(long).toEqual([])
    }
  })

  it.for(topics)("of the topic $name has its rows", async ({ name, rows }, { box }) => {
    const flat = joined(await textOf(box, ["help", name]))
    expect(rows.length).toBeGreaterThan(3)
    for (const row of rows) expect(flat).toContain(joined(row.join(" ")))
  })

  it("of an unknown name is an error with a suggestion", async ({ box }) => {
    expect(await box.run(["help", "pusj"])).toMatchObject({
      code: 2,
      stderr: 'sealwire: no help for "pusj" (did you mean push, pull?); see: sealwire help --help\n'
    })
    expect(await box.run(["pusj", "--help"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('unknown command "pusj" (did you mean push')
    })
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

describe("--version", () => {
  const { version } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8")
  ) as { version: string }

  it.for([[["--version"]], [["-V"]], [["classic", "--version"]], [["classic", "send", "-V"]]])(
    "%s prints the version of the package",
    async ([args], { box }) => {
      expect(await box.run(args ?? [])).toEqual({
        code: 0,
        stdout: Buffer.from(`${version}\n`),
        stderr: ""
      })
    }
  )
})
