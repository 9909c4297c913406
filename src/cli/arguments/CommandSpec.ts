import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import type * as Effect from "effect/Effect"
import type { Report } from "../output/Report.ts"
import type { CommandError } from "./CommandError.ts"

export interface MultiInstance {
  readonly table: string
  /** The options that hold for all: they stand above the tables. */
  readonly sharedOptions: ReadonlyArray<string>
  /** What must hold of them before they are run, together and of one alone; check-config asks it, too. */
  readonly validate: (
    given: ReadonlyArray<never>
  ) => Effect.Effect<void, ValidationError.ValidationError>
  /** With what each was given. */
  readonly run: (given: ReadonlyArray<never>) => Effect.Effect<void, CommandError, Report>
}

/** A command: where it stands, what it does in a line, examples that work, and what @effect/cli makes of it. */
export interface CommandSpec {
  /** `["classic", "send"]` */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  readonly summary: string
  /** A command line and what it does. The tests run each with `--help`. */
  readonly examples: ReadonlyArray<readonly [command: string, meaning: string]>
  readonly command: Command.Command<string, Report, CommandError, unknown>
  /** The same several times in one process, each with options of its own: the `[[word]]` tables of its configuration file. */
  readonly multiInstance?: MultiInstance
}

/** An Entry whose last word names its command. */
export const commandSpec = <const Config extends Command.Command.Config>(
  path: CommandSpec["path"],
  summary: string,
  examples: CommandSpec["examples"],
  config: Config,
  handler: (
    config: Command.Command.ParseConfig<Config>
  ) => Effect.Effect<void, CommandError, Report>,
  multiInstance?: MultiInstance
): CommandSpec => ({
  ...(multiInstance === undefined ? {} : { multiInstance }),
  path,
  summary,
  examples,
  command: Command.make(path.at(-1) ?? "", config, (parsed) =>
    handler(parsed as Command.Command.ParseConfig<Config>)
  ) as CommandSpec["command"]
})
