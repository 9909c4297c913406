// The list of commands as an argument: help, parsing and configuration files import no command, so
// that a command may import any of them without a cycle.
import type { CommandSpec } from "./CommandSpec.ts"

/** The list itself is in `commands/index.ts`. */
export interface CommandList {
  /** Every command. */
  readonly commands: ReadonlyArray<CommandSpec>
  /** The commands that help lists, in its order. */
  readonly shown: ReadonlyArray<CommandSpec>
  /** The first words that group commands (`peers`), each with its summary. */
  readonly groups: Readonly<Record<string, string>>
}

/** The command that the first arguments name. */
export const findCommand = (
  { commands }: Pick<CommandList, "commands">,
  args: ReadonlyArray<string>
): CommandSpec | undefined =>
  commands.find(({ path }) => path.every((word, index) => args[index] === word))

/** The arguments before `--`. Later ones are operands, even with a leading hyphen. */
export const beforeDashes = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.slice(0, args.includes("--") ? args.indexOf("--") : args.length)
