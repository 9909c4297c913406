import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type { Report } from "../output/Report.ts"
import type { CommandError } from "./CommandError.ts"
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

/** A command: its path, its help and its parser. */
export interface CommandSpec {
  /** `["classic", "send"]` */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  /** One line for the list of commands. */
  readonly summary: string
  /** A command line and its effect. The tests parse each command line. */
  readonly examples: ReadonlyArray<readonly [command: string, meaning: string]>
  readonly command: Command.Command<string, Report, CommandError, unknown>
  readonly validate: Validate<never>
  readonly multiInstance?: MultiInstance
}

interface More<Options> {
  /** Default: every combination of valid options is valid. */
  readonly validate?: Validate<Options>
  readonly multiInstance?: MultiInstance
}

/** A CommandSpec whose last path element names the command of @effect/cli. */
export const commandSpec = <const Config extends Command.Command.Config>(
  path: CommandSpec["path"],
  summary: string,
  examples: CommandSpec["examples"],
  config: Config,
  handler: (
    config: Command.Command.ParseConfig<Config>
  ) => Effect.Effect<void, CommandError, Report>,
  {
    validate = () => Effect.void,
    multiInstance
  }: More<Command.Command.ParseConfig<NoInfer<Config>>> = {}
): CommandSpec => ({
  ...(multiInstance === undefined ? {} : { multiInstance }),
  validate,
  path,
  summary,
  examples,
  command: Command.make(path.at(-1) ?? "", config, (parsed) => {
    const options = parsed as Command.Command.ParseConfig<Config>
    return Effect.zipRight(validate([options]), handler(options))
  }) as CommandSpec["command"]
})
