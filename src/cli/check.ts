// A command line that is looked at and not run.
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { arrange } from "./arrange.ts"
import { expand, placed } from "./Config.ts"
import { commandOf } from "./Help.ts"
import { tree } from "./tree.ts"

/** How many options of the file there are; fails as the command itself would. */
export const check = (args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { args: all, places } = yield* expand(args)
    const entry = commandOf(all)
    if (entry === undefined) return 0
    const { words } = yield* arrange(all).pipe(placed(places))
    const inert = { ...entry, command: Command.withHandler(entry.command, () => Effect.void) as typeof entry.command }
    const run = Command.run(tree([inert]), { name: "sealwire", version: "", executable: "sealwire" })
    yield* Console.consoleWith((console) =>
      Effect.withConsole(run(["node", "sealwire", ...words]), { ...console, log: () => Effect.void, error: () => Effect.void })
    ).pipe(placed(places))
    return places.size
  }).pipe(Effect.provide(NodeContext.layer))
