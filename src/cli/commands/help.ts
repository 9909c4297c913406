import { quoted } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import type { CommandList } from "../arguments/CommandList.ts"
import { commandSpec, type CommandSpec } from "../arguments/CommandSpec.ts"
import * as Help from "../arguments/Help.ts"
import { nearest } from "../arguments/nearest.ts"
import * as Operand from "../arguments/Operand.ts"
import * as options from "../arguments/options.ts"
import { topics } from "../arguments/topics.ts"
import { Report } from "../output/Report.ts"
import { CurrentScreen } from "../Screen.ts"

/** `list` returns the list that contains this command. */
export const help = (list: () => CommandList): CommandSpec =>
  commandSpec(
    {
      path: ["help"],
      group: "Operate",
      summary: "show the help of a command or a topic",
      examples: [
        ["sealwire help push", "examples and all options of sealwire push"],
        ["sealwire help inbox take", "a command of a group"],
        ["sealwire help keys", "the forms of a key reference"]
      ],
      exits: [],
      loadsKey: false
    },
    {
      words: Operand.text("COMMAND|TOPIC").pipe(
        Operand.repeated,
        Operand.completing("command"),
        Operand.withDescription(
          `A command, a group of commands, or a topic: ${topics.map(({ name }) => name).join(", ")}.`
        )
      )
    },
    ({ words }) =>
      Effect.gen(function* () {
        const page = Help.pageOf(list(), words, yield* CurrentScreen)
        if (page !== undefined) return yield* (yield* Report).print(page)
        const { commands, groups } = list()
        const names = [
          ...commands.map(({ path }) => path.join(" ")),
          ...Object.keys(groups),
          ...topics.map(({ name }) => name)
        ]
        const near = nearest(words.join(" "), names)
        return yield* options.usageError(
          `no help for ${quoted(words.join(" "))}${near.length === 0 ? "" : ` (did you mean ${near.join(", ")}?)`}`
        )
      })
  )
