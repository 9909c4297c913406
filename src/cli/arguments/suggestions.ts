// Errors for unknown commands and options, each with what exists nearby.
import { quoted, shown } from "../../bytes/excerpt.ts"
import type { CommandList } from "./CommandList.ts"
import type { FlagData } from "./Flag.ts"
import type { OperandData } from "./Operand.ts"
import { nearest } from "./nearest.ts"

/** The unknown command as far as it was typed, with suggestions. */
export const unknownCommand = (
  { commands, groups }: CommandList,
  args: ReadonlyArray<string>
): string => {
  const option = args.findIndex((word) => word.startsWith("-"))
  const words = option < 0 ? args : args.slice(0, option)
  if (words.every((word) => Object.hasOwn(groups, word))) return "options must follow the command"
  const [first = "", second = ""] = words
  const group = Object.hasOwn(groups, first) ? [first] : []
  const typed = group.length === 0 ? first : second
  const names = commands.flatMap(({ path }) =>
    group.every((word, index) => path[index] === word) ? [path[group.length] ?? ""] : []
  )
  const suggestions = nearest(typed, names).map((name) => [...group, name].join(" "))
  return `unknown command ${quoted([...group, typed].join(" "))}${didYouMean(suggestions)}`
}

const didYouMean = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "" : ` (did you mean ${suggestions.join(", ")}?)`

/** The error of an option that the command does not have. `known` are those that it has. */
export const unknownOption = (
  list: CommandList,
  { operands, known }: Known,
  typed: string
): string => `unknown option ${shown(typed)} (${hintFor(list, { operands, known }, typed)})`

/** The arguments and all options of a command. */
interface Known {
  readonly operands: ReadonlyArray<OperandData>
  readonly known: ReadonlyArray<FlagData>
}

const hintFor = (
  { shown: commands }: CommandList,
  { operands, known }: Known,
  typed: string
): string => {
  const choice = operands
    .flatMap(({ choices = [] }) => choices)
    .find((each) => `--${each}` === typed)
  if (choice !== undefined) return `it is an argument, without hyphens: ${choice}`
  const meant = known.filter(({ guesses = [] }) => guesses.includes(typed))
  if (meant.length > 0) return `did you mean ${meant.map(({ name }) => `--${name}`).join(", ")}?`
  const others = commands
    .filter(({ options }) => options.some(({ name }) => `--${name}` === typed))
    .map(({ path }) => path.join(" "))
  if (others.length > 0) return `it is an option of ${others.slice(0, maxOthers).join(", ")}`
  const names = known.map(({ name }) => `--${name}`)
  const near = typed.startsWith("--") ? nearest(typed, names) : []
  return near.length > 0
    ? `did you mean ${near.join(", ")}?`
    : "put -- before an argument that begins with a hyphen"
}

/** The most commands that an error lists. */
const maxOthers = 4
