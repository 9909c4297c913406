// Runs one command: builds the layers, reports the error and returns the exit code.
import * as CliConfig from "@effect/cli/CliConfig"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ChildEnvironment from "../keys/ChildEnvironment.ts"
import { Passphrase } from "../keys/Passphrase.ts"
import { defaultScrypt, type Scrypt } from "../keys/ProtectedKey.ts"
import { normalizeArguments } from "./arguments/normalizeArguments.ts"
import { parseCommandLines } from "./arguments/dryRun.ts"
import * as Config from "./arguments/Config.ts"
import { commandList } from "./commands/index.ts"
import { exitCodeAfter } from "./output/ExitCode.ts"
import { beforeDashes, findCommand } from "./arguments/CommandList.ts"
import * as Help from "./arguments/Help.ts"
import * as processText from "./input/processText.ts"
import { usageError } from "./arguments/optionErrors.ts"
import * as passphrases from "./input/passphrases.ts"
import * as Log from "./output/Log.ts"
import { supportsColour, jsonLogger, logger, Report } from "./output/Report.ts"
import { Redaction } from "./output/Redaction.ts"
import { reportFailure } from "./output/reportFailure.ts"
import { parserConfig, runCommand } from "./arguments/commandTree.ts"
import { minimumLogLevel } from "./arguments/globalOptions.ts"
import { CurrentScreen, screenOf } from "./Screen.ts"
import { Streams, type StandardStreams } from "./Streams.ts"

declare const SEALWIRE_VERSION: string

/** The variables of an environment. */
export type Environment = Record<string, string | undefined>

/** The signals that end a command in order. */
export type EndingSignal = "SIGHUP" | "SIGINT" | "SIGTERM"

/** Options of `run`. */
export interface RunOptions {
  /** An abort, whose reason is an `EndingSignal`, ends the command in order. */
  readonly interruption?: AbortSignal
  /**
   * The bytes of arguments that Node has decoded; without it a U+FFFD in them is taken for what it
   * is.
   */
  readonly original?: processText.OriginalArguments
  /**
   * The cost of a new passphrase. No option and no variable changes it. Default:
   * `ProtectedKey.defaultScrypt`.
   */
  readonly scrypt?: Scrypt
}

/**
 * Runs the command with these arguments and returns its exit code. Removes the passphrase from
 * `env`, which must be `process.env` or a copy: keys (`env:NAME`), the folder of the configuration
 * and subprocesses use `process.env`.
 */
export const run = (
  args: ReadonlyArray<string>,
  env: Environment,
  streams: StandardStreams,
  { interruption, original, scrypt }: RunOptions = {}
): Promise<number> => {
  const log = Log.forStream(streams.stderr)
  const redaction = new Redaction()
  redaction.addArguments(args)
  for (const name of processText.variables) redaction.add(env[name] ?? "")
  const textLogger = logger(log, supportsColour(streams.stderr, env), redaction)
  const layer = Layer.mergeAll(
    Report.layer(log, redaction),
    NodeContext.layer,
    CliConfig.layer(parserConfig),
    Logger.replace(Logger.defaultLogger, textLogger)
  )
  // With --json the log of a server is JSON too.
  const withJsonLog = Effect.provide(Logger.replace(textLogger, jsonLogger(log, redaction)))
  const main = Effect.flatMap(Report, (report) =>
    report.whileWritable(
      Effect.zipRight(
        checkText(args, env, original),
        program(args, env, streams, scrypt, withJsonLog, redaction)
      )
    )
  )
  return Effect.runPromiseExit(
    Effect.provideService(Effect.provide(main, layer), Streams, streams),
    interruption === undefined ? {} : { signal: interruption }
  ).then((exit) => {
    if (interruption?.aborted === true)
      return exitCodeAfter(interruption.reason as EndingSignal, args)
    return Exit.isSuccess(exit)
      ? 0
      : reportFailure(exit.cause, args, findCommand(commandList, args), streams.stderr, redaction)
  })
}

/** Fails for text in another encoding than UTF-8, before anything uses it. */
const checkText = (
  args: ReadonlyArray<string>,
  env: Environment,
  original: processText.OriginalArguments | undefined
) => {
  const fault = processText.argumentFault(args, original) ?? processText.environmentFault(env)
  return fault === undefined ? Effect.void : usageError(fault)
}

const program = (
  args: ReadonlyArray<string>,
  env: Environment,
  { stdout }: StandardStreams,
  scrypt: Scrypt = defaultScrypt,
  withJsonLog: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  redaction: Redaction
) =>
  Effect.gen(function* () {
    const report = yield* Report
    const screen = screenOf(stdout, env)
    const help = Help.helpFor(commandList, args, screen)
    if (help !== undefined) return yield* report.print(help)
    if (asksForVersion(args)) return yield* report.print(SEALWIRE_VERSION)

    const { args: expanded, locations, tables } = yield* Config.expandConfig(commandList, args)
    const allWords = [...expanded, ...tables.flatMap((table) => table.args)]
    for (const word of allWords) redaction.add(word)
    ChildEnvironment.withholdNamedIn(allWords)
    const command = findCommand(commandList, expanded)
    const isJson = beforeDashes(expanded).includes("--json")
    // The events are the result: nothing is done that nobody would be told.
    if (isJson) yield* report.needsOutput
    const multiInstance = tables.length > 0 ? command?.multiInstance : undefined
    const { words, settings } = yield* normalizeArguments(commandList, expanded).pipe(
      Config.locateErrors(locations)
    )
    const providePassphrase = Effect.provideServiceEffect(
      Passphrase,
      Effect.map(
        passphrases.passphraseSource(settings.get("--passphrase-fd")?.[0], env),
        (source): Passphrase.Shape => ({ ...source, scrypt })
      )
    )
    const running =
      command !== undefined && multiInstance !== undefined
        ? Effect.flatMap(parseCommandLines(commandList, command, tables), (instances) =>
            Effect.zipRight(command.validate(instances), multiInstance.run(instances))
          )
        : runCommand(commandList.commands, words)
    yield* running.pipe(
      providePassphrase,
      Config.locateErrors(locations),
      Logger.withMinimumLogLevel(minimumLogLevel(settings)),
      Effect.provideService(CurrentScreen, screen),
      args[0] === "serve" && isJson ? withJsonLog : (effect) => effect
    )
  })

const asksForVersion = (args: ReadonlyArray<string>): boolean =>
  beforeDashes(args).some((word) => word === "--version" || word === "-V")
