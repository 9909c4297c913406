// Merges the options of a configuration file into the command line. Each key of the TOML file is
// the name of an option. Command-line options override the file.
import { quoted } from "../../bytes/excerpt.ts"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type { FlagData } from "./Flag.ts"
import { globalOptionsOf } from "./globalOptions.ts"
import { beforeDashes, findCommand, type CommandList } from "./CommandList.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { ConfigInvalid, read } from "./ConfigFile.ts"
import { stripColour } from "../output/Report.ts"

const option = "--config"

/** A command line whose options come partly from a file. */
export interface CommandLine {
  readonly args: ReadonlyArray<string>
  /** The place in the file of each of its options: "--listen" -> "sealwire.toml:3". */
  readonly locations: ReadonlyMap<string, string>
}

export interface ExpandedCommandLine extends CommandLine {
  /** One command line for each table of a command with `multiInstance`. */
  readonly tables: ReadonlyArray<CommandLine>
}

/** The options that the file may have, by their long names. */
type OptionTable = ReadonlyMap<string, FlagData>

/** Adds the options of the file that `--config` names, if there is one. */
export const expandConfig = (
  list: CommandList,
  args: ReadonlyArray<string>
): Effect.Effect<ExpandedCommandLine, ConfigInvalid> =>
  Effect.suspend((): Effect.Effect<ExpandedCommandLine, ConfigInvalid> => {
    const command = findCommand(list, args)
    const known = command === undefined ? new Map<string, FlagData>() : optionsInFile(command)
    const file = known.has(option) ? valueOf(beforeDashes(args), option) : undefined
    return command === undefined || file === undefined
      ? Effect.succeed({ args, locations: new Map(), tables: [] })
      : expandFile({ command, known, file }, args)
  })

const optionsInFile = (command: CommandSpec): OptionTable =>
  new Map(
    [
      ...globalOptionsOf(command).filter(({ name }) => name === "log-level"),
      ...command.options
    ].map((each) => [`--${each.name}`, each])
  )

interface Target {
  readonly command: CommandSpec
  readonly known: OptionTable
  readonly file: string
}

const expandFile = (
  target: Target,
  args: ReadonlyArray<string>
): Effect.Effect<ExpandedCommandLine, ConfigInvalid> =>
  Effect.gen(function* () {
    const { command, file } = target
    const { path, multiInstance } = command
    const { text, table: document } = yield* read(file)
    const { tables, options } = splitTables(document, multiInstance?.table)
    const given = new Set(beforeDashes(args).map((word) => word.split("=", 1)[0]))
    const own = args.slice(path.length)
    const shared = yield* readOptions(target, text, options, 0)
    const sharedWords = withoutGiven(shared, given)
    return {
      args: [...path, ...sharedWords, ...own],
      locations: shared.locations,
      tables: yield* Effect.forEach(tables, (options, index) =>
        Effect.gen(function* () {
          const name = multiInstance?.table ?? ""
          const header = headerLine(text, name, index)
          const misplaced = Object.keys(options).find((key) =>
            multiInstance?.sharedOptions.includes(key)
          )
          if (misplaced !== undefined)
            return yield* new ConfigInvalid({
              where: `${file}:${lineOf(text, misplaced, header)}`,
              detail: `${misplaced} applies to all tables; move it above the first [[${name}]]`
            })
          const instance = yield* readOptions(target, text, options, header)
          const above = sharedWords.filter(
            (word) => !Object.hasOwn(options, word.slice(2).split("=", 1)[0] ?? "")
          )
          return {
            args: [...path, ...above, ...withoutGiven(instance, given), ...own],
            locations: new Map([...shared.locations, ...instance.locations])
          }
        })
      )
    }
  })

interface FileOptions {
  /** The arguments for each option: "--to" -> ["--to=…"]. */
  readonly words: ReadonlyMap<string, ReadonlyArray<string>>
  readonly locations: ReadonlyMap<string, string>
}

const withoutGiven = ({ words }: FileOptions, given: ReadonlySet<string | undefined>) =>
  [...words].flatMap(([name, words]) => (given.has(name) ? [] : words))

/** The options of the document, or of a table whose keys stand after the line `from`. */
const readOptions = (
  { command, known, file }: Target,
  text: string,
  options: Readonly<Record<string, unknown>>,
  from: number
): Effect.Effect<FileOptions, ConfigInvalid> =>
  Effect.gen(function* () {
    const words = new Map<string, ReadonlyArray<string>>()
    const locations = new Map<string, string>()
    for (const [key, value] of Object.entries(options)) {
      const line = lineOf(text, key, from)
      const where = line === 0 ? file : `${file}:${line}`
      const name = `--${key}`
      const found = known.get(name)
      if (found === undefined || name === option)
        return yield* new ConfigInvalid({
          where,
          detail:
            key === command.multiInstance?.table
              ? `write [[${key}]] in double brackets, once for each ${key}`
              : `unknown option ${quoted(key)} of sealwire ${command.path.join(" ")}`
        })
      const formatted = argumentsOf(name, value, found.value === undefined)
      if (typeof formatted === "string")
        return yield* new ConfigInvalid({ where, detail: `${key} ${formatted}` })
      locations.set(name, where)
      words.set(name, formatted)
    }
    return { words, locations }
  })

/** Separates the `[[name]]` tables from the options. */
const splitTables = (
  document: Readonly<Record<string, unknown>>,
  name: string | undefined
): {
  readonly tables: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly options: Readonly<Record<string, unknown>>
} => {
  const tables = name === undefined ? undefined : document[name]
  if (!isTables(tables)) return { tables: [], options: document }
  return {
    tables,
    options: Object.fromEntries(Object.entries(document).filter(([key]) => key !== name))
  }
}

const isTables = (value: unknown): value is ReadonlyArray<Readonly<Record<string, unknown>>> =>
  Array.isArray(value) &&
  value.every((one) => typeof one === "object" && one !== null && !Array.isArray(one))

/** The zero-based line of the `[[name]]` with this index. */
const headerLine = (text: string, name: string, index: number): number => {
  const lines = text
    .split("\n")
    .flatMap((line, number) => (line.trim().startsWith(`[[${name}]]`) ? [number] : []))
  return lines[index] ?? 0
}

/** Replaces the name of an option by its place in the file, in usage errors about that option. */
export const locateErrors =
  (locations: ReadonlyMap<string, string>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConfigInvalid, R> =>
    Effect.catchAll(effect, (error): Effect.Effect<never, E | ConfigInvalid> => {
      if (!ValidationError.isValidationError(error)) return Effect.fail(error)
      const text = stripColour(HelpDoc.toAnsiText(error.error)).trim()
      const where = locations.get(/^--[a-z-]+/.exec(text)?.[0] ?? "")
      return Effect.fail(
        where === undefined ? error : new ConfigInvalid({ where, detail: text.replace(/^--/, "") })
      )
    })

/** The arguments that give the option this value, or the clause of an error. */
const argumentsOf = (
  name: string,
  value: unknown,
  isFlag: boolean
): ReadonlyArray<string> | string => {
  if (isFlag) return typeof value === "boolean" ? (value ? [name] : []) : "must be true or false"
  const values = Array.isArray(value) ? value : [value]
  return values.every((one) => typeof one === "string" || typeof one === "number")
    ? values.map((one) => `${name}=${one}`)
    : "must be a string in quotes, a number, or a list of those"
}

const valueOf = (words: ReadonlyArray<string>, name: string): string | undefined => {
  const index = words.findIndex((word) => word === name || word.startsWith(`${name}=`))
  const word = words[index]
  return word === undefined
    ? undefined
    : word === name
      ? words[index + 1]
      : word.slice(name.length + 1)
}

/**
 * The one-based line of a key, searched from the zero-based line `from` because the parser keeps no
 * positions; 0 for a key written with escapes.
 */
const lineOf = (text: string, key: string, from: number): number =>
  1 +
  text
    .split("\n")
    .findIndex(
      (line, index) =>
        index >= from &&
        /^\s*(?:"(?<quoted>[^"]*)"|'(?<literal>[^']*)'|(?<bare>[\w-]+))\s*[.=]|^\s*\[+\s*(?<table>[\w-]+)/
          .exec(line)
          ?.slice(1)
          .includes(key)
    )
