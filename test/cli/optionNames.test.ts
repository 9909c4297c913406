// The names of options: each has one meaning, letters too, and errors name what exists nearby.
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { normalizeArguments } from "../../src/cli/arguments/normalizeArguments.ts"
import { globalOptionsOf } from "../../src/cli/arguments/globalOptions.ts"
import { commandList } from "../../src/cli/commands/index.ts"
import { it } from "./Sealwire.ts"

const all = commandList.shown.flatMap((command) =>
  [...command.options, ...globalOptionsOf(command)].map((option) => ({
    command: command.path.join(" "),
    option
  }))
)

/** The nouns and verbs of a description, without the words that differ from command to command. */
const meaningOf = (name: string): ReadonlyArray<string> => [
  ...new Set(
    all
      .filter(({ option }) => option.name === name)
      .map(({ option: { value = "no value", short = "no letter" } }) => `${value}, ${short}`)
  )
]

describe("the name of an option", () => {
  it.for([...new Set(all.map(({ option }) => option.name))])(
    "--%s has one form in all commands",
    (name) => {
      // The output of keygen is a key reference, and that of the file commands is a file.
      if (name === "output") expect(meaningOf(name)).toEqual(["FILE, o", "KEY, o"])
      else expect(meaningOf(name)).toHaveLength(1)
    }
  )

  it("of a letter is the same in all commands", () => {
    const letters = new Map<string, string>()
    for (const { option } of all)
      if (option.short !== undefined) {
        expect(letters.get(option.short) ?? option.name).toBe(option.name)
        letters.set(option.short, option.name)
      }
    expect(Object.fromEntries(letters)).toEqual({
      i: "identity",
      o: "output",
      p: "passphrase",
      r: "recipient",
      n: "dry-run",
      v: "verbose",
      q: "quiet",
      h: "help",
      V: "version"
    })
  })

  it.for([
    ["key", ["serve", "send", "push", "pull", "tunnel", "pipe", "classic serve", "classic send"]],
    ["to", ["send", "push", "tunnel", "pipe", "classic send"]],
    ["from", ["pull"]],
    ["limit", ["push", "pull"]],
    ["file-key", ["encrypt", "decrypt", "rekey"]],
    ["recipient", ["encrypt", "rekey"]],
    ["as", ["push"]],
    ["peer-name", ["pair"]],
    ["for", ["check-config"]]
  ] as const)("--%s belongs to %j alone", ([name, commands]) => {
    const found = all.filter(({ option }) => option.name === name).map(({ command }) => command)
    expect(found.sort()).toEqual([...commands].sort())
  })

  it("refers to options that exist, in rules", () => {
    for (const { path, options } of commandList.commands) {
      const names = options.map(({ name }) => `--${name}`)
      for (const { needs, excludes = [] } of options)
        for (const other of needs === undefined ? excludes : [needs, ...excludes])
          expect([path, names]).toEqual([path, expect.arrayContaining([other])])
    }
  })
})

const wordsOf = (args: ReadonlyArray<string>) =>
  Effect.runPromise(Effect.either(normalizeArguments(commandList, args)))

describe("a letter", () => {
  it.for([
    [["decrypt", "x", "-o", "y"]],
    [["decrypt", "x", "-oy"]],
    [["decrypt", "x", "-o=y"]],
    [["decrypt", "-voy", "x"]]
  ])("%j takes its value", async ([args]) => {
    expect(await wordsOf(args ?? [])).toMatchObject({
      right: { words: ["decrypt", "--output", "y", "--", "x"] }
    })
  })

  it("may be repeated, and stand with others", async () => {
    const verbose = async (...args: ReadonlyArray<string>) => {
      const result = await wordsOf(["push", ...args, "x"])
      return result._tag === "Right" ? result.right.settings.get("--verbose")?.length : undefined
    }
    expect(await verbose("-v")).toBe(1)
    expect(await verbose("-vv")).toBe(2)
    expect(await verbose("-v", "-nv")).toBe(2)
    expect(await verbose("-n")).toBe(undefined)
  })
})

describe("the log level", () => {
  it.for([
    [[], { info: true, debug: false }],
    [["-v"], { info: true, debug: true }],
    [["-q"], { info: false, debug: false }],
    [["--log-level", "warning"], { info: false, debug: false }],
    [["--log-level=debug"], { info: true, debug: true }]
  ] as const)("of %j", async ([args, expected], { box }) => {
    await box.run(["keygen"])
    await box.run(["keygen", "identity"])
    const { stderr } = await box.run(["pubkey", ...args])
    expect(stderr.includes("fingerprint")).toBe(expected.info)
  })

  it("excludes a second way to give it", async ({ box }) => {
    expect(await box.run(["pubkey", "-q", "-v"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--quiet: has no effect with --verbose")
    })
  })
})

describe("an unknown option", () => {
  it.for([
    [["encrypt", "x", "--to", "a"], "unknown option --to (did you mean --recipient?)"],
    [["send", "--quite"], "unknown option --quite (did you mean --quiet?)"],
    [["push", "x", "--bwlimit", "1M"], "unknown option --bwlimit (did you mean --limit?)"],
    [["push", "x", "--into", "y"], "unknown option --into (it is an option of pull)"],
    [
      ["keygen", "--identity"],
      "unknown option --identity (it is an argument, without hyphens: identity)"
    ],
    [["send", "-5"], "unknown option -5 (put -- before an argument that begins with a hyphen)"],
    [["push", "x", "-nz"], "unknown option -z (put -- before"]
  ] as const)("%j: %s", async ([args, message], { box }) => {
    expect(await box.run(args)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`sealwire: ${message}`)
    })
  })
})
