// A command line that is looked at and not run.
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { normalizeArguments } from "./normalizeArguments.ts"
import { expand, placed, type Line } from "./Config.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { findCommand, type CommandList } from "./CommandList.ts"
import { tree } from "./tree.ts"

/** How many options of the file there are; fails as the command itself would. */
export const dryRun = (list: CommandList, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { tables, ...line } = yield* expand(list, args)
    const entry = findCommand(list, line.args)
    if (entry === undefined) return 0
    const lines = tables.length > 0 ? tables : [line]
    const given = yield* parsed(list, entry, lines)
    if (entry.several !== undefined) yield* placed(line.places)(entry.several.fits(given))
    return Math.max(line.places.size, ...lines.map(({ places }) => places.size))
  }).pipe(Effect.provide(NodeContext.layer))

/** What the command would be given by each line; it is not run. */
export const parsed = (list: CommandList, entry: CommandSpec, lines: ReadonlyArray<Line>) =>
  Effect.forEach(lines, ({ args, places }) =>
    Effect.gen(function* () {
      const { words } = yield* normalizeArguments(list, args)
      const found: Array<never> = []
      const inert = {
        ...entry,
        command: Command.withHandler(entry.command, (given) =>
          Effect.sync(() => found.push(given as never))
        ) as typeof entry.command
      }
      const run = Command.run(tree([inert]), {
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
    }).pipe(placed(places))
  ).pipe(Effect.map((found) => found.flat()))
