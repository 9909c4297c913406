// A command's options from a file: TOML, and every key is the name of an option. What stands on the command line goes before.
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import { optionTable } from "./normalizeArguments.ts"
import { beforeDashes, findCommand, type CommandList } from "./CommandList.ts"
import { ConfigInvalid, read } from "./ConfigFile.ts"
import { stripColour } from "../output/Report.ts"

const option = "--config"

/** A command line. */
export interface CommandLine {
  readonly args: ReadonlyArray<string>
  /** Where each option stands that the file has: "--listen" -> "sealwire.toml:3". */
  readonly locations: ReadonlyMap<string, string>
}

export interface Expanded extends CommandLine {
  /** One for each table of a command that is run several times. */
  readonly tables: ReadonlyArray<CommandLine>
}

/** The arguments with what their configuration file says, where they name one. */
export const expandConfig = (
  list: CommandList,
  args: ReadonlyArray<string>
): Effect.Effect<Expanded, ConfigInvalid> =>
  Effect.suspend((): Effect.Effect<Expanded, ConfigInvalid> => {
    const entry = findCommand(list, args)
    const known =
      entry === undefined
        ? undefined
        : new Map([["--log-level", "any"] as const, ...optionTable(entry)])
    const file = known?.has(option) === true ? valueOf(beforeDashes(args), option) : undefined
    if (entry === undefined || known === undefined || file === undefined)
      return Effect.succeed({ args, locations: new Map(), tables: [] })
    return Effect.gen(function* () {
      const { text, table } = yield* read(file)
      const { multiInstance, options: shared } = splitTables(table, entry.multiInstance?.table)
      const given = new Set(beforeDashes(args).map((word) => word.split("=", 1)[0]))
      const own = args.slice(entry.path.length)
      const wordsIn = (
        options: Readonly<Record<string, unknown>>,
        locations: Map<string, string>,
        from: number
      ) =>
        Effect.gen(function* () {
          const words: Array<string> = []
          for (const [key, value] of Object.entries(options)) {
            const line = lineOf(text, key, from)
            const where = line === 0 ? file : `${file}:${line}`
            const name = `--${key}`
            const values = known.get(name)
            if (values === undefined || name === option)
              return yield* new ConfigInvalid({
                where,
                detail:
                  key === entry.multiInstance?.table
                    ? `write [[${key}]], in double brackets, above what is one ${key}'s own`
                    : `there is no option "${Printable.line(key)}" of sealwire ${entry.path.join(" ")}`
              })
            const written = wordsOf(name, value, values === "none")
            if (typeof written === "string")
              return yield* new ConfigInvalid({ where, detail: `${key} ${written}` })
            locations.set(name, where)
            if (!given.has(name)) words.push(...written)
          }
          return words
        })
      const locations = new Map<string, string>()
      const words = yield* wordsIn(shared, locations, 0)
      const tables = yield* Effect.forEach(multiInstance, (options, index) =>
        Effect.gen(function* () {
          const inTable = new Map(locations)
          const header = headerOf(text, entry.multiInstance?.table ?? "", index)
          // Once for all, as what listens for it is one.
          const common = Object.keys(options).find((key) =>
            entry.multiInstance?.sharedOptions.includes(key)
          )
          if (common !== undefined)
            return yield* new ConfigInvalid({
              where: `${file}:${lineOf(text, common, header)}`,
              detail: `${common} holds for all; write it above the first [[${entry.multiInstance?.table}]]`
            })
          const theirs = yield* wordsIn(options, inTable, header)
          const above = words.filter(
            (word) => !Object.hasOwn(options, word.slice(2).split("=", 1)[0] ?? "")
          )
          return { args: [...entry.path, ...above, ...theirs, ...own], locations: inTable }
        })
      )
      return { args: [...entry.path, ...words, ...own], locations, tables }
    })
  })

/** The tables of the word apart from the options. */
const splitTables = (table: Readonly<Record<string, unknown>>, word: string | undefined) => {
  const tables = word === undefined ? undefined : table[word]
  const isTables = (value: unknown): value is ReadonlyArray<Readonly<Record<string, unknown>>> =>
    Array.isArray(value) &&
    value.every((one) => typeof one === "object" && one !== null && !Array.isArray(one))
  if (word === undefined || !isTables(tables)) return { multiInstance: [], options: table }
  return {
    multiInstance: tables,
    options: Object.fromEntries(Object.entries(table).filter(([key]) => key !== word))
  }
}

/** The line of a `[[word]]`, by its number among them. */
const headerOf = (text: string, word: string, count: number): number => {
  const lines = text
    .split("\n")
    .flatMap((line, index) => (line.trim().startsWith(`[[${word}]]`) ? [index] : []))
  return lines[count] ?? 0
}

/** A fault of an option that the file has is told with its place there. */
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

/** As the command line would say it; or what is wrong with the value. */
const wordsOf = (name: string, value: unknown, flag: boolean): ReadonlyArray<string> | string => {
  if (flag) return typeof value === "boolean" ? (value ? [name] : []) : "is true or false"
  const values = Array.isArray(value) ? value : [value]
  return values.every((one) => typeof one === "string" || typeof one === "number")
    ? values.map((one) => `${name}=${one}`)
    : "is a text in quotes, a number, or a list of those"
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

/** The line of a key, which the parser does not tell, from that one on; 0 for one that is written with escapes. */
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
