import * as Command from "@effect/cli/Command"
import type { CommandSpec } from "./CommandSpec.ts"

/** The list of commands as the tree that @effect/cli wants. No options on the parents: it mixes them up with the children's. */
export const commandTree = (entries: ReadonlyArray<CommandSpec>): CommandSpec["command"] => {
  const words = [...new Set(entries.map(({ path }) => path[0]))]
  return parent(
    "sealwire",
    words.map((word) => ofWord(word, entries))
  )
}

const ofWord = (word: string, entries: ReadonlyArray<CommandSpec>): CommandSpec["command"] => {
  const under = entries.filter(({ path }) => path[0] === word)
  const alone = under.find(({ path }) => path.length === 1)
  return alone === undefined
    ? parent(
        word,
        under.map(({ command }) => command)
      )
    : alone.command
}

const parent = (
  name: string,
  children: ReadonlyArray<CommandSpec["command"]>
): CommandSpec["command"] =>
  Command.make(name).pipe(
    Command.withSubcommands(children as [CommandSpec["command"]])
  ) as unknown as CommandSpec["command"]
