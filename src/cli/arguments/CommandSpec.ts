import * as Command from "@effect/cli/Command"
import type * as ValidationError from "@effect/cli/ValidationError"
import type * as Effect from "effect/Effect"
import type { Report } from "../output/Report.ts"
import type { CommandError } from "./CommandError.ts"

/**
 * A command that runs several instances in one process, one for each table of its configuration
 * file: `[[tunnel]]`.
 */
export interface MultiInstance {
  /** The name of the tables: "tunnel". */
  readonly table: string
  /** The options that apply to all instances: they belong above the tables. */
  readonly sharedOptions: ReadonlyArray<string>
  /**
   * Checks the options of all instances, each alone and all together, before any of them runs.
   * `check-config` calls it too.
   */
  readonly validate: (
    instances: ReadonlyArray<never>
  ) => Effect.Effect<void, ValidationError.ValidationError>
  /** Runs all instances. */
  readonly run: (instances: ReadonlyArray<never>) => Effect.Effect<void, CommandError, Report>
}

/** A command: its path, its help and its parser. */
export interface CommandSpec {
  /** `["classic", "send"]` */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  /** One line for the list of commands. */
  readonly summary: string
  /** A command line and its effect. The tests parse each command line. */
  readonly examples: ReadonlyArray<readonly [command: string, meaning: string]>
  readonly command: Command.Command<string, Report, CommandError, unknown>
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
