import * as Command from "@effect/cli/Command"
import type { CommandSpec } from "./CommandSpec.ts"

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
