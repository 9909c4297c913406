// A command line that is looked at and not run.
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { normalizeArguments } from "./normalizeArguments.ts"
import { expandConfig, locateErrors, type CommandLine } from "./Config.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { findCommand, type CommandList } from "./CommandList.ts"
import { commandTree } from "./commandTree.ts"

/** How many options of the file there are; fails as the command itself would. */
export const dryRun = (list: CommandList, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { tables, ...line } = yield* expandConfig(list, args)
    const entry = findCommand(list, line.args)
    if (entry === undefined) return 0
    const lines = tables.length > 0 ? tables : [line]
    const given = yield* parseCommandLines(list, entry, lines)
    if (entry.multiInstance !== undefined)
      yield* locateErrors(line.locations)(entry.multiInstance.validate(given))
    return Math.max(line.locations.size, ...lines.map(({ locations }) => locations.size))
  }).pipe(Effect.provide(NodeContext.layer))

/** What the command would be given by each line; it is not run. */
export const parseCommandLines = (
  list: CommandList,
  entry: CommandSpec,
  lines: ReadonlyArray<CommandLine>
) =>
  Effect.forEach(lines, ({ args, locations }) =>
    Effect.gen(function* () {
      const { words } = yield* normalizeArguments(list, args)
      const found: Array<never> = []
      const inert = {
        ...entry,
        command: Command.withHandler(entry.command, (given) =>
          Effect.sync(() => found.push(given as never))
        ) as typeof entry.command
      }
      const run = Command.run(commandTree([inert]), {
        name: "sealwire",
        version: "",
        executable: "sealwire"
      })
      yield* Console.consoleWith((console) =>
        Effect.withConsole(run(["node", "sealwire", ...words]), {
          ...console,
          log: () => Effect.void,
          error: () => Effect.void
        })
      )
      return found
    }).pipe(locateErrors(locations))
  ).pipe(Effect.map((found) => found.flat()))
