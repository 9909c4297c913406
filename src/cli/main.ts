// The executable: layers, one run, one exit code.
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { Passphrase } from "../keys/Passphrase.ts"
import { normalizeArguments } from "./arguments/normalizeArguments.ts"
import { parseCommandLines } from "./arguments/dryRun.ts"
import * as Config from "./arguments/Config.ts"
import { commandList } from "./commands/index.ts"
import { signalCodes } from "./output/ExitCode.ts"
import { beforeDashes, findCommand } from "./arguments/CommandList.ts"
import * as Help from "./arguments/Help.ts"
import * as passphrases from "./input/passphrases.ts"
import { supportsColour, jsonLogger, logger, Report, stripColour } from "./output/Report.ts"
import { reportFailure } from "./output/reportFailure.ts"
import { commandTree } from "./arguments/commandTree.ts"

declare const SEALWIRE_VERSION: string

const args = process.argv.slice(2)

const program = Effect.gen(function* () {
  const report = yield* Report
  const help = Help.helpFor(commandList, args)
  if (help !== undefined)
    return yield* report.print(supportsColour(process.stdout) ? help : stripColour(help))

  const { args: all, locations, tables } = yield* Config.expandConfig(commandList, args)
  const multiInstance = tables.length > 0 ? findCommand(commandList, all)?.multiInstance : undefined
  const { words, settings } = yield* normalizeArguments(commandList, all).pipe(
    Config.locateErrors(locations)
  )
  const run = Command.run(
    commandTree(args.includes("--completions") ? commandList.shown : commandList.commands),
    {
      name: "sealwire",
      version: SEALWIRE_VERSION,
      executable: "sealwire"
    }
  )
  const passphrase = withPassphrase(settings.get("--passphrase-fd"))
  if (multiInstance !== undefined) {
    const entry = findCommand(commandList, all)
    return yield* entry === undefined
      ? Effect.void
      : passphrase(Effect.flatMap(parseCommandLines(commandList, entry, tables), multiInstance.run))
  }
  // What @effect/cli prints itself: version, completions. Its errors come back as values and are told once, by settle.
  const print = (text: unknown) => report.print(stripColour(String(text)).trim())
  yield* Console.consoleWith((console) =>
    Effect.withConsole(run(["node", "sealwire", ...words]), {
      ...console,
      log: print,
      error: () => Effect.void
    })
  ).pipe(
    passphrase,
    Config.locateErrors(locations),
    // A log for machines is one for machines on both streams.
    args[0] === "serve" && beforeDashes(all).includes("--json")
      ? Effect.provide(Logger.replace(logger, jsonLogger))
      : (effect) => effect
  )
})

const withPassphrase = (descriptor: string | undefined) =>
  Effect.provideService(Passphrase, passphrases.passphraseSource(descriptor))

const heard = Effect.flatMap(Report, (report) => report.whileWritable(program))

const layer = Layer.mergeAll(
  Report.layer,
  NodeContext.layer,
  CliConfig.layer(Help.cliConfig),
  Logger.replace(Logger.defaultLogger, logger)
)

/** How long a signalled command waits for the reader of its output. */
const flushMillis = 2_000

const fiber = Effect.runFork(Effect.provide(heard, layer))

// A log that nobody reads any more (`2>&1 | head`) stops no server.
process.stderr.on("error", () => {})

/** True where the command itself listens to the signal: `serve` reads its peers again on SIGHUP. Elsewhere the terminal was closed. */
const isTaken = (signal: NodeJS.Signals): boolean => process.listenerCount(signal) > 1

// The first signal drains, the second ends at once.
let signalled: "SIGHUP" | "SIGINT" | "SIGTERM" | undefined
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    if (isTaken(signal)) return
    if (signalled !== undefined) process.exit(signalCodes[signal])
    signalled = signal
    setTimeout(
      () => process.stderr.write("sealwire: finishing what is in flight; once more ends at once\n"),
      500
    ).unref()
    fiber.unsafeInterruptAsFork(fiber.id())
  })

fiber.addObserver((exit) => {
  const code =
    signalled !== undefined
      ? signalCodes[signalled]
      : Exit.isSuccess(exit)
        ? 0
        : reportFailure(exit.cause, args, findCommand(commandList, args))
  // What is still on its way to a slow reader goes out first; after a signal a reader that has stopped is not waited for.
  process.stdout.write("", () => process.exit(code))
  if (signalled !== undefined) setTimeout(() => process.exit(code), flushMillis)
})
