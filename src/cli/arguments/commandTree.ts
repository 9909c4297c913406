// Runs normalized arguments with @effect/cli.
import type * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { CommandSpec } from "./CommandSpec.ts"

/** The settings of @effect/cli. */
export const parserConfig: CliConfig.CliConfig = {
  isCaseSensitive: true,
  autoCorrectLimit: 2,
  finalCheckBuiltIn: false,
  showAllNames: true,
  showBuiltIns: false,
  showTypes: false
}

/**
 * Runs the command that normalized arguments name. @effect/cli returns its errors as values, and
 * would print them too: reportFailure prints them once.
 */
export const runCommand = (commands: ReadonlyArray<CommandSpec>, words: ReadonlyArray<string>) =>
  Console.consoleWith((console) =>
    Effect.withConsole(
      Command.run(commandTree(commands), { name: "sealwire", version: "", executable: "sealwire" })(
        ["node", "sealwire", ...words]
      ),
      { ...console, log: () => Effect.void, error: () => Effect.void }
    )
  )

/**
 * The list of commands as the tree of @effect/cli. The parents have no options: @effect/cli
 * confuses them with the options of the children.
 */
export const commandTree = (commands: ReadonlyArray<CommandSpec>): CommandSpec["command"] => {
  const names = [...new Set(commands.map(({ path }) => path[0]))]
  return parent(
    "sealwire",
    names.map((name) => subtree(name, commands))
  )
}

const subtree = (name: string, commands: ReadonlyArray<CommandSpec>): CommandSpec["command"] => {
  const members = commands.filter(({ path }) => path[0] === name)
  const single = members.find(({ path }) => path.length === 1)
  return single === undefined
    ? parent(
        name,
        members.map(({ command }) => command)
      )
    : single.command
}

const parent = (
  name: string,
  children: ReadonlyArray<CommandSpec["command"]>
): CommandSpec["command"] =>
  Command.make(name).pipe(
    Command.withSubcommands(children as [CommandSpec["command"]])
  ) as unknown as CommandSpec["command"]
