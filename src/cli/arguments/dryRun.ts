// Parses a command line without running the command.
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { normalizeArguments } from "./normalizeArguments.ts"
import { expandConfig, locateErrors, type CommandLine } from "./Config.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { findCommand, type CommandList } from "./CommandList.ts"
import { runCommand } from "./commandTree.ts"

/** The number of options in the configuration file. Fails with the errors of the command itself. */
export const dryRun = (list: CommandList, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { tables, ...line } = yield* expandConfig(list, args)
    const command = findCommand(list, line.args)
    if (command === undefined) return 0
    const lines = tables.length > 0 ? tables : [line]
    const parsed = yield* parseCommandLines(list, command, lines)
    yield* locateErrors(line.locations)(command.validate(parsed))
    return Math.max(line.locations.size, ...lines.map(({ locations }) => locations.size))
  }).pipe(Effect.provide(NodeContext.layer))

/** The parsed options of each command line, as the command's handler receives them. */
export const parseCommandLines = (
  list: CommandList,
  command: CommandSpec,
  lines: ReadonlyArray<CommandLine>
) =>
  Effect.forEach(lines, ({ args, locations }) =>
    Effect.gen(function* () {
      const { words } = yield* normalizeArguments(list, args)
      const received: Array<never> = []
      const recorder = {
        ...command,
        command: Command.withHandler(command.command, (options) =>
          Effect.sync(() => received.push(options as never))
        ) as typeof command.command
      }
      yield* runCommand([recorder], words)
      return received
    }).pipe(locateErrors(locations))
  ).pipe(Effect.map((received) => received.flat()))
