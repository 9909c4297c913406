import { quoted, shown } from "../../bytes/excerpt.ts"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import { findCommand, type CommandList } from "./CommandList.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { usageOf } from "./Help.ts"
import { nearest } from "./nearest.ts"
import { ineffectiveOption, loadsNoKey } from "./optionRules.ts"

type Normalized = Effect.Effect<
  {
    /** The arguments for @effect/cli. */
    readonly words: ReadonlyArray<string>
    /** The values of the given options of `globalSettings`. */
    readonly settings: ReadonlyMap<string, string>
  },
  ValidationError.ValidationError
>

/** The values of an option: none, any, any with repetition, a number, or one of a list. */
type Values = "none" | "any" | "many" | "number" | ReadonlyArray<string>

/** The options that @effect/cli itself adds to every command. */
const builtInOptions: ReadonlyMap<string, Values> = new Map<string, Values>([
  ["--help", "none"],
  ["-h", "none"],
  ["--version", "none"],
  ["--completions", ["bash", "zsh", "fish", "sh"]],
  ["--log-level", ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"]]
])

/** The options of commands that load keys, which `run` handles; @effect/cli never receives them. */
const globalSettings: ReadonlyMap<string, Values> = new Map<string, Values>([
  ["--passphrase-fd", "number"]
])

/** The built-in options that need no command. */
const withoutCommand: ReadonlyArray<string> = ["--version", "--completions"]

/**
 * Puts the arguments into the one order that @effect/cli parses unambiguously: its own options,
 * command, the command's options, `--`, operands. Otherwise @effect/cli sends an unknown option as
 * the message (`send --too x` sends "--too"), takes the default for a missing or empty value
 * (`--cipher=$UNSET`), and finds no option after a lone `-`, nor one of its own after one of the
 * command's.
 */
export const normalizeArguments = (list: CommandList, args: ReadonlyArray<string>): Normalized =>
  Effect.suspend(() => {
    const command = findCommand(list, args)
    if (command !== undefined) {
      const known = new Map([
        ...builtInOptions,
        ...(loadsNoKey(command.path) ? [] : globalSettings),
        ...optionTable(command)
      ])
      return reordered(command.path, known, args)
    }
    if (args.some((word) => withoutCommand.includes(word.split("=", 1)[0] ?? "")))
      return reordered([], builtInOptions, args)
    const option = args.findIndex((word) => word.startsWith("-"))
    const words = option < 0 ? args : args.slice(0, option)
    return words.every((word) => Object.hasOwn(list.groups, word))
      ? usageError("options must follow the command")
      : usageError(unknownCommand(list, words))
  })

/** The unknown command as far as it was typed, with suggestions. */
const unknownCommand = (
  { commands, groups }: CommandList,
  [first = "", second = ""]: ReadonlyArray<string>
): string => {
  const group = Object.hasOwn(groups, first) ? [first] : []
  const typed = group.length === 0 ? first : second
  const names = commands.flatMap(({ path }) =>
    group.every((word, index) => path[index] === word) ? [path[group.length] ?? ""] : []
  )
  const suggestions = nearest(typed, names).map((name) => [...group, name].join(" "))
  const hint = suggestions.length === 0 ? "" : ` (did you mean ${suggestions.join(", ")}?)`
  return `unknown command ${quoted([...group, typed].join(" "))}${hint}`
}

const reordered = (
  path: ReadonlyArray<string>,
  known: ReadonlyMap<string, Values>,
  args: ReadonlyArray<string>
): Normalized => {
  const options = new Map<string, ReadonlyArray<string>>()
  const operands: Array<string> = []
  for (let index = path.length; index < args.length; index++) {
    const word = args[index] ?? ""
    if (word === "--") {
      // Not as arguments of push: there may be more of them than the stack can hold.
      for (const operand of args.slice(index + 1)) operands.push(operand)
      break
    }
    if (word === "-" || !word.startsWith("-")) {
      operands.push(word)
      continue
    }
    const [name = "", ...rest] = word.split("=")
    const values = known.get(name)
    if (values === undefined)
      return usageError(`unknown option ${shown(name)} (${hintFor(name, known)})`)
    if (values === "none") {
      if (rest.length > 0) return usageError(`${name} takes no value`)
      options.set(name, [name])
      continue
    }
    const before = options.get(name) ?? []
    if (before.length > 0 && values !== "many") return usageError(`${name} is given twice`)
    const value = rest.length > 0 ? rest.join("=") : args[++index]
    if (value === undefined || value === "" || (rest.length === 0 && value.startsWith("--")))
      return usageError(`${name} needs a value`)
    if (values === "number" && !/^\d{1,9}$/.test(value))
      return usageError(`${name}: ${quoted(value)} is not a number`)
    if (typeof values !== "string" && !values.includes(value))
      return usageError(`${name}: ${quoted(value)} is not one of ${values.join(", ")}`)
    options.set(name, [...before, name, value])
  }
  const problem = ineffectiveOption(path.join(" "), new Set([...options.keys()].map(longName)))
  if (problem !== undefined) return usageError(problem)
  // In one word: @effect/cli takes the value of `--log-level debug` for the command `debug`.
  const builtIn = [...options].flatMap(([name, words]) =>
    builtInOptions.has(name) ? [words.join("=")] : []
  )
  const own = [...options].flatMap(([name, words]) =>
    builtInOptions.has(name) || globalSettings.has(name) ? [] : words
  )
  return Effect.succeed({
    words: [...builtIn, ...path, ...own, ...(operands.length > 0 ? ["--", ...operands] : [])],
    settings: new Map(
      [...options].flatMap(([name, [, value = ""]]) =>
        globalSettings.has(name) ? [[name, value] as const] : []
      )
    )
  })
}

/** `-o` is the only short option of the commands. */
const longName = (name: string): string => (name === "-o" ? "--output" : name)

const hintFor = (name: string, known: ReadonlyMap<string, Values>): string => {
  const longNames = [...known.keys()].filter((option) => option.startsWith("--"))
  const suggestions = name.startsWith("--") ? nearest(name, longNames) : []
  return suggestions.length === 0
    ? "put -- before an argument that begins with a hyphen"
    : `did you mean ${suggestions.join(", ")}?`
}

/**
 * The options of a command with their kinds of values, read from its usage line:
 * `[--to ADDRESS] [-o, --output KEY] [--json] [--key KEY]...`.
 */
export const optionTable = (command: CommandSpec): ReadonlyArray<readonly [string, Values]> =>
  [
    ...usageOf(command).matchAll(
      /(?:(?<short>-[a-z]), )?(?<name>--[a-z-]+)(?<value> [A-Z][^\s\]]*(?<many>\]\.\.\.)?)?/g
    )
  ].flatMap(({ groups: { short, name, value, many } = {} }) => {
    const values = value === undefined ? "none" : many === undefined ? "any" : "many"
    return [short, name].flatMap((each) => (each === undefined ? [] : [[each, values] as const]))
  })

const usageError = (text: string): Normalized =>
  Effect.fail(ValidationError.invalidValue(HelpDoc.p(text)))
