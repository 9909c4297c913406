import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Printable from "../bytes/Printable.ts"
import { commandOf, usageOf } from "./Help.ts"

/** What @effect/cli understands everywhere; true where a value follows. */
const everywhere: ReadonlyMap<string, boolean> = new Map([
  ["--help", false],
  ["-h", false],
  ["--version", false],
  ["--wizard", false],
  ["--completions", true],
  ["--log-level", true]
])

/**
 * Refuses an option that the command does not have, and one whose value is missing: @effect/cli takes the first for
 * an argument (`send --too x` would send "--too") and the second for the option's default.
 */
export const checkOptions = (args: ReadonlyArray<string>): Effect.Effect<void, ValidationError.ValidationError> =>
  Effect.suspend(() => {
    const entry = commandOf(args)
    if (entry === undefined) return Effect.void
    const own = [...usageOf(entry).matchAll(/(?<name>--[a-z-]+)(?<value> [A-Z])?/g)].map(
      ({ groups }) => [groups?.name ?? "", groups?.value !== undefined] as const
    )
    const known = new Map([...everywhere, ...own])
    for (let index = entry.path.length; index < args.length; index++) {
      const word = args[index] ?? ""
      if (word === "--") return Effect.void
      if (word === "-" || !word.startsWith("-")) continue
      const name = word.split("=", 1)[0] ?? ""
      const takesValue = known.get(name)
      if (takesValue === undefined)
        return refuse(`there is no option ${Printable.line(name)} (a text that begins with - goes after --)`)
      if (!takesValue || word.includes("=")) continue
      index++
      if (args[index] === undefined || args[index]?.startsWith("--")) return refuse(`${name} needs a value`)
    }
    return Effect.void
  })

const refuse = (text: string) => Effect.fail(ValidationError.invalidValue(HelpDoc.p(text)))
