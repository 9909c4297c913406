// The commands of the executable, as help, parsing and configuration files receive them: none of those imports a command.
import type { CommandSpec } from "./CommandSpec.ts"

/** `commands/index.ts` holds the list itself. */
export interface CommandList {
  /** Every command. */
  readonly commands: ReadonlyArray<CommandSpec>
  /** The commands that help lists, in its order. */
  readonly shown: ReadonlyArray<CommandSpec>
  /** A first word that holds commands, and what they have in common. */
  readonly groups: Readonly<Record<string, string>>
}

/** The command that the first arguments name. */
export const findCommand = (
  { commands }: Pick<CommandList, "commands">,
  args: ReadonlyArray<string>
): CommandSpec | undefined =>
  commands.find(({ path }) => path.every((word, index) => args[index] === word))

/** The arguments before `--`; those behind it are texts, even when they begin with a hyphen. */
export const beforeDashes = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.slice(0, args.includes("--") ? args.indexOf("--") : args.length)
