// Puts a command line into the one order that @effect/cli parses unambiguously.
import { quoted } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import type * as ValidationError from "@effect/cli/ValidationError"
import { findCommand, type CommandList } from "./CommandList.ts"
import type { FlagData } from "./Flag.ts"
import { globalOptionsOf, type GlobalOption, type Settings } from "./globalOptions.ts"
import { usageError } from "./optionErrors.ts"
import { ineffectiveOption } from "./optionRules.ts"
import { unknownCommand, unknownOption } from "./suggestions.ts"

interface Normalized {
  /** The arguments for @effect/cli. */
  readonly words: ReadonlyArray<string>
  readonly settings: Settings
}

type Failing<A> = Effect.Effect<A, ValidationError.ValidationError>

/**
 * The command, its options by their long names, `--`, operands. Otherwise @effect/cli sends an
 * unknown option as the message (`send --too x` sends "--too"), takes the default for a missing or
 * empty value (`--cipher=$UNSET`), and finds no option after a lone `-`.
 */
export const normalizeArguments = (
  list: CommandList,
  args: ReadonlyArray<string>
): Failing<Normalized> =>
  Effect.gen(function* () {
    const command = findCommand(list, args)
    if (command === undefined) return yield* usageError(unknownCommand(list, args))
    const { path, options, operands: declared } = command
    const globals = globalOptionsOf(command)
    const known: ReadonlyArray<GlobalOption> = [...options, ...globals]
    const { given, operands } = yield* readWords(known, args.slice(path.length), (typed) =>
      unknownOption(list, { operands: declared, known }, typed)
    )
    const names = new Set(given.keys())
    const problem = ineffectiveOption(known, names)
    if (problem !== undefined) return yield* usageError(problem)
    const isGlobal = (name: string) => globals.some((each) => `--${each.name}` === name)
    const own = [...given]
      .filter(([name]) => !isGlobal(name))
      .flatMap(([name, values]) =>
        values.flatMap((value) => (value === undefined ? [name] : [name, value]))
      )
    return {
      words: [...path, ...own, ...(operands.length > 0 ? ["--", ...operands] : [])],
      settings: new Map(
        [...given]
          .filter(([name]) => isGlobal(name))
          .map(([name, values]) => [name, values.map((value = "") => value)])
      )
    }
  })

/** The values of each option, by its long name; undefined for one occurrence without a value. */
type Given = Map<string, ReadonlyArray<string | undefined>>

interface Read {
  readonly given: Given
  readonly operands: ReadonlyArray<string>
}

/** Separates options from operands. `unknown` is the error of an option that is not `known`. */
const readWords = (
  known: ReadonlyArray<GlobalOption>,
  words: ReadonlyArray<string>,
  unknown: (typed: string) => string
): Failing<Read> => {
  const byWord: ReadonlyMap<string, GlobalOption> = new Map(
    known.flatMap((each) => [
      [`--${each.name}`, each] as [string, GlobalOption],
      ...(each.short === undefined ? [] : [[`-${each.short}`, each] as [string, GlobalOption]])
    ])
  )
  const given: Given = new Map()
  const operands: Array<string> = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ""
    if (word === "--") {
      // Not as arguments of push: there may be more of them than the stack can hold.
      for (const operand of words.slice(index + 1)) operands.push(operand)
      break
    }
    if (word === "-" || !word.startsWith("-")) {
      operands.push(word)
      continue
    }
    for (const { typed, attached } of optionsIn(word, byWord)) {
      const option = byWord.get(typed)
      if (option === undefined) return usageError(unknown(typed))
      const name = `--${option.name}`
      const before = given.get(name) ?? []
      if (option.value === undefined) {
        if (attached !== undefined) return usageError(`${name} takes no value`)
        given.set(name, option.many ? [...before, undefined] : [undefined])
        continue
      }
      if (before.length > 0 && !option.many) return usageError(`${name} is given twice`)
      const value = attached ?? words[++index]
      if (value === undefined || value === "" || (attached === undefined && value.startsWith("--")))
        return usageError(`${name} needs a value`)
      const fault = faultOf(option, value)
      if (fault !== undefined) return usageError(`${name}: ${fault}`)
      given.set(name, [...before, value])
    }
  }
  return Effect.succeed({ given, operands })
}

/**
 * The options that one word gives: `--name`, `--name=value`, `-x`, `-xvalue`, or the letters of
 * several options without a value.
 */
const optionsIn = (
  word: string,
  byWord: ReadonlyMap<string, FlagData>
): ReadonlyArray<{ readonly typed: string; readonly attached?: string }> => {
  const at = word.indexOf("=")
  if (word.startsWith("--"))
    return at < 0 ? [{ typed: word }] : [{ typed: word.slice(0, at), attached: word.slice(at + 1) }]
  const found: Array<{ typed: string; attached?: string }> = []
  for (let index = 1; index < word.length; index++) {
    const typed = `-${word[index]}`
    const option = byWord.get(typed)
    const rest = word.slice(index + 1)
    // The whole word: the letters after an unknown one mean nothing.
    if (option === undefined) return [{ typed: index === 1 ? word : typed }]
    if (option.value !== undefined || rest.startsWith("=")) {
      found.push({ typed, ...(rest === "" ? {} : { attached: rest.replace(/^=/, "") }) })
      break
    }
    found.push({ typed })
  }
  return found
}

const faultOf = (option: GlobalOption, value: string): string | undefined =>
  option.fault === undefined && option.choices !== undefined && !option.choices.includes(value)
    ? `${quoted(value)} is not one of ${option.choices.join(", ")}`
    : option.fault?.(value)
