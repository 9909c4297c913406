import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import { findCommand, type CommandList } from "./CommandList.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { usageOf } from "./Help.ts"
import { nearest } from "./nearest.ts"

type Arranged = Effect.Effect<
  {
    /** For @effect/cli. */
    readonly words: ReadonlyArray<string>
    /** The options of `settings` that are given, with their values. */
    readonly settings: ReadonlyMap<string, string>
  },
  ValidationError.ValidationError
>

/** The values an option takes: none, any, any each time it is given, a number, or one of these. */
type Values = "none" | "any" | "many" | "number" | ReadonlyArray<string>

/** What @effect/cli understands everywhere. */
const everywhere: ReadonlyMap<string, Values> = new Map<string, Values>([
  ["--help", "none"],
  ["-h", "none"],
  ["--version", "none"],
  ["--completions", ["bash", "zsh", "fish", "sh"]],
  ["--log-level", ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"]]
])

/** What every command understands, and @effect/cli never sees: `main` acts on it. */
const settings: ReadonlyMap<string, Values> = new Map<string, Values>([
  ["--passphrase-fd", "number"]
])

/** Those of @effect/cli that need no command. */
const alone: ReadonlyArray<string> = ["--version", "--completions"]

/**
 * The arguments in the one order that leaves @effect/cli nothing to guess: its own options, command, the command's
 * options, `--`, texts. Left alone it sends an unknown option as the message (`send --too x` says "--too"), takes the
 * default for a missing or empty value (`--cipher=$UNSET`), and finds no option behind a lone `-`, nor one of its own
 * behind one of the command's.
 */
export const normalizeArguments = (list: CommandList, args: ReadonlyArray<string>): Arranged =>
  Effect.suspend(() => {
    const entry = findCommand(list, args)
    if (entry !== undefined)
      return arranged(
        entry.path,
        new Map([...everywhere, ...settings, ...optionTable(entry)]),
        args
      )
    if (args.some((word) => alone.includes(word.split("=", 1)[0] ?? "")))
      return arranged([], everywhere, args)
    const option = args.findIndex((word) => word.startsWith("-"))
    const words = option < 0 ? args : args.slice(0, option)
    return words.every((word) => Object.hasOwn(list.groups, word))
      ? refuse("the command comes first, then its options")
      : refuse(noCommand(list, words))
  })

/** As far as it was typed, and what may have been meant. */
const noCommand = (
  { commands, groups }: CommandList,
  [first = "", second = ""]: ReadonlyArray<string>
): string => {
  const group = Object.hasOwn(groups, first) ? [first] : []
  const typed = group.length === 0 ? first : second
  const names = commands.flatMap(({ path }) =>
    group.every((word, at) => path[at] === word) ? [path[group.length] ?? ""] : []
  )
  const meant = nearest(typed, names).map((name) => [...group, name].join(" "))
  const hint = meant.length === 0 ? "" : ` (did you mean ${meant.join(", ")}?)`
  return `there is no command "${Printable.line([...group, typed].join(" "))}"${hint}`
}

const arranged = (
  path: ReadonlyArray<string>,
  known: ReadonlyMap<string, Values>,
  args: ReadonlyArray<string>
): Arranged => {
  const options = new Map<string, ReadonlyArray<string>>()
  const texts: Array<string> = []
  for (let index = path.length; index < args.length; index++) {
    const word = args[index] ?? ""
    if (word === "--") {
      texts.push(...args.slice(index + 1))
      break
    }
    if (word === "-" || !word.startsWith("-")) {
      texts.push(word)
      continue
    }
    const [name = "", ...rest] = word.split("=")
    const values = known.get(name)
    if (values === undefined)
      return refuse(`there is no option ${Printable.line(name)} (${hintFor(name, known)})`)
    if (values === "none") {
      if (rest.length > 0) return refuse(`${name} takes no value`)
      options.set(name, [name])
      continue
    }
    const before = options.get(name) ?? []
    if (before.length > 0 && values !== "many") return refuse(`${name} is given twice`)
    const value = rest.length > 0 ? rest.join("=") : args[++index]
    if (value === undefined || value === "" || (rest.length === 0 && value.startsWith("--")))
      return refuse(`${name} needs a value`)
    if (values === "number" && !/^\d{1,9}$/.test(value))
      return refuse(`${name}: "${Printable.line(value)}" is no number`)
    if (typeof values !== "string" && !values.includes(value))
      return refuse(`${name}: "${Printable.line(value)}" is none of ${values.join(", ")}`)
    options.set(name, [...before, name, value])
  }
  // In one word: the value of `--log-level debug` would be taken for the command of that name.
  const theirs = [...options].flatMap(([name, words]) =>
    everywhere.has(name) ? [words.join("=")] : []
  )
  const own = [...options].flatMap(([name, words]) =>
    everywhere.has(name) || settings.has(name) ? [] : words
  )
  return Effect.succeed({
    words: [...theirs, ...path, ...own, ...(texts.length > 0 ? ["--", ...texts] : [])],
    settings: new Map(
      [...options].flatMap(([name, [, value = ""]]) =>
        settings.has(name) ? [[name, value] as const] : []
      )
    )
  })
}

const hintFor = (name: string, known: ReadonlyMap<string, Values>): string => {
  const long = [...known.keys()].filter((option) => option.startsWith("--"))
  const meant = name.startsWith("--") ? nearest(name, long) : []
  return meant.length === 0
    ? "a text that begins with - goes after --"
    : `did you mean ${meant.join(", ")}?`
}

/** As the usage shows them: `[--to ADDRESS] [-o, --output KEY] [--json] [--key KEY]...`. */
export const optionTable = (entry: CommandSpec): ReadonlyArray<readonly [string, Values]> =>
  [
    ...usageOf(entry).matchAll(
      /(?:(?<short>-[a-z]), )?(?<name>--[a-z-]+)(?<value> [A-Z][^\s\]]*(?<many>\]\.\.\.)?)?/g
    )
  ].flatMap(({ groups: { short, name, value, many } = {} }) => {
    const values = value === undefined ? "none" : many === undefined ? "any" : "many"
    return [short, name].flatMap((each) => (each === undefined ? [] : [[each, values] as const]))
  })

const refuse = (text: string): Arranged =>
  Effect.fail(ValidationError.invalidValue(HelpDoc.p(text)))
