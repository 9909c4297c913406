// The executable: builds the layers, runs one command and sets the exit code.
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

  const { args: expanded, locations, tables } = yield* Config.expandConfig(commandList, args)
  const command = findCommand(commandList, expanded)
  const multiInstance = tables.length > 0 ? command?.multiInstance : undefined
  const { words, settings } = yield* normalizeArguments(commandList, expanded).pipe(
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
  const providePassphrase = withPassphrase(settings.get("--passphrase-fd"))
  if (command !== undefined && multiInstance !== undefined)
    return yield* providePassphrase(
      Effect.flatMap(parseCommandLines(commandList, command, tables), multiInstance.run)
    )
  // @effect/cli prints the version and completions itself. It returns its errors as values, which
  // reportFailure prints once.
  const print = (text: unknown) => report.print(stripColour(String(text)).trim())
  yield* Console.consoleWith((console) =>
    Effect.withConsole(run(["node", "sealwire", ...words]), {
      ...console,
      log: print,
      error: () => Effect.void
    })
  ).pipe(
    providePassphrase,
    Config.locateErrors(locations),
    // With --json the log on stderr is JSON too.
    args[0] === "serve" && beforeDashes(expanded).includes("--json")
      ? Effect.provide(Logger.replace(logger, jsonLogger))
      : (effect) => effect
  )
})

const withPassphrase = (descriptor: string | undefined) =>
  Effect.provideService(Passphrase, passphrases.passphraseSource(descriptor))

const main = Effect.flatMap(Report, (report) => report.whileWritable(program))

const layer = Layer.mergeAll(
  Report.layer,
  NodeContext.layer,
  CliConfig.layer(Help.cliConfig),
  Logger.replace(Logger.defaultLogger, logger)
)

/** The time that a signalled command waits for the reader of its output, in milliseconds. */
const flushMillis = 2_000

const fiber = Effect.runFork(Effect.provide(main, layer))

// A server continues when the reader of its log exits (`2>&1 | head`).
process.stderr.on("error", () => {})

/**
 * True if the command has its own listener: `serve` reloads its peers on SIGHUP. For other commands
 * SIGHUP means that the terminal was closed.
 */
const isHandledByCommand = (signal: NodeJS.Signals): boolean => process.listenerCount(signal) > 1

// The first signal drains; the second exits at once.
let signalled: "SIGHUP" | "SIGINT" | "SIGTERM" | undefined
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    if (isHandledByCommand(signal)) return
    if (signalled !== undefined) process.exit(signalCodes[signal])
    signalled = signal
    setTimeout(
      () =>
        process.stderr.write("sealwire: finishing work in flight; signal again to exit at once\n"),
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
  // Flush stdout to a slow reader first. After a signal the wait for a stalled reader is limited.
  process.stdout.write("", () => process.exit(code))
  if (signalled !== undefined) setTimeout(() => process.exit(code), flushMillis)
})
