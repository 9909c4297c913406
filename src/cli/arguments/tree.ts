import * as Command from "@effect/cli/Command"
import type { Entry } from "./CommandSpec.ts"

/** The list of commands as the tree that @effect/cli wants. No options on the parents: it mixes them up with the children's. */
export const tree = (entries: ReadonlyArray<Entry>): Entry["command"] => {
  const words = [...new Set(entries.map(({ path }) => path[0]))]
  return parent(
    "sealwire",
    words.map((word) => ofWord(word, entries))
  )
}

const ofWord = (word: string, entries: ReadonlyArray<Entry>): Entry["command"] => {
  const under = entries.filter(({ path }) => path[0] === word)
  const alone = under.find(({ path }) => path.length === 1)
  return alone === undefined
    ? parent(
        word,
        under.map(({ command }) => command)
      )
    : alone.command
}

const parent = (name: string, children: ReadonlyArray<Entry["command"]>): Entry["command"] =>
  Command.make(name).pipe(Command.withSubcommands(children as [Entry["command"]])) as unknown as Entry["command"]
