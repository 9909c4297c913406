// A command as data: the parser of @effect/cli, help, manual pages, completions, configuration files
// and docs/reference/commands.md are made from it.
import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type { Report } from "../output/Report.ts"
import type { CommandError } from "./CommandError.ts"
import { Flag, type FlagData } from "./Flag.ts"
import { Operand, type OperandData } from "./Operand.ts"
import type { OptionsConflict } from "./optionErrors.ts"

/**
 * A command that runs several instances in one process, one for each table of its configuration
 * file: `[[tunnel]]`.
 */
export interface MultiInstance {
  /** The name of the tables: "tunnel". */
  readonly table: string
  /** The options that apply to all instances: they belong above the tables. */
  readonly sharedOptions: ReadonlyArray<string>
  /** Runs all instances. */
  readonly run: (instances: ReadonlyArray<never>) => Effect.Effect<void, CommandError, Report>
}

/**
 * Checks the options of all instances, each alone and all together, without opening anything. It
 * runs before the command does, and `check-config` runs it too: what a command refuses because of
 * its options alone belongs here. A command with one instance gets a list of one.
 */
export type Validate<Options> = (
  instances: ReadonlyArray<Options>
) => Effect.Effect<void, ValidationError.ValidationError | OptionsConflict>

/** The headings of the root help, in its order. */
export const commandGroups = [
  "Communicate",
  "Files",
  "Tunnels",
  "Keys and peers",
  "Operate",
  "Classic"
] as const

/** The description of a command. */
export interface CommandTexts {
  /** `["classic", "send"]` */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  readonly group: (typeof commandGroups)[number]
  /** One line for the list of commands. */
  readonly summary: string
  /** Sentences that the summary has no room for. */
  readonly about?: string
  /** A command line and its effect. The tests parse each command line. */
  readonly examples: ReadonlyArray<readonly [command: string, meaning: string]>
  /** The exit codes of its errors, beside 0, 1, 2 and those of signals. Default: all. */
  readonly exits?: ReadonlyArray<number>
  /** False for a command that loads no private key, and therefore asks for no passphrase. */
  readonly loadsKey?: boolean
}

/** A command: its texts, its options and its parser. */
export interface CommandSpec extends CommandTexts {
  readonly options: ReadonlyArray<FlagData>
  readonly operands: ReadonlyArray<OperandData>
  readonly command: Command.Command<string, Report, CommandError, unknown>
  readonly validate: Validate<never>
  readonly multiInstance?: MultiInstance
}

/** The options and arguments of a command by the names that its handler uses. */
type Parameters = Readonly<Record<string, Flag<unknown> | Operand<unknown>>>

/** The values of the parameters. */
export type Values<P extends Parameters> = {
  readonly [Name in keyof P]: P[Name] extends Flag<infer A> | Operand<infer A> ? A : never
}

interface More<Options> {
  /** Default: every combination of valid options is valid. */
  readonly validate?: Validate<Options>
  readonly multiInstance?: MultiInstance
}

/** A CommandSpec whose last path element names the command of @effect/cli. */
export const commandSpec = <const P extends Parameters>(
  texts: CommandTexts,
  parameters: P,
  handler: (values: Values<P>) => Effect.Effect<void, CommandError, Report>,
  { validate = () => Effect.void, multiInstance }: More<Values<NoInfer<P>>> = {}
): CommandSpec => {
  const all: ReadonlyArray<Flag<unknown> | Operand<unknown>> = Object.values(parameters)
  const parsers = Object.fromEntries(
    Object.entries(parameters).map(([name, { parser }]) => [name, parser])
  )
  return {
    ...texts,
    ...(multiInstance === undefined ? {} : { multiInstance }),
    validate,
    options: all.flatMap((each) => (each instanceof Flag ? [each.data] : [])),
    operands: all.flatMap((each) => (each instanceof Operand ? [each.data] : [])),
    command: Command.make(texts.path.at(-1) ?? "", parsers, (parsed) => {
      const values = parsed as unknown as Values<P>
      return Effect.zipRight(validate([values]), handler(values))
    }) as unknown as CommandSpec["command"]
  }
}
