// The options of every command, which `run` handles: @effect/cli never receives them.
import { quoted } from "../../bytes/excerpt.ts"
import * as LogLevel from "effect/LogLevel"
import type { CommandSpec } from "./CommandSpec.ts"
import type { FlagData } from "./Flag.ts"

/** An option of every command. */
export interface GlobalOption extends FlagData {
  /** The error of an invalid value, as a clause. */
  readonly fault?: (value: string) => string | undefined
}

/** The values of the global options in a command line; "" for each occurrence without a value. */
export type Settings = ReadonlyMap<string, ReadonlyArray<string>>

const option = (
  data: Omit<GlobalOption, "many" | "isRequired"> & { readonly many?: true }
): GlobalOption => ({
  many: false,
  isRequired: false,
  group: "Every command",
  ...data
})

const logLevels: Readonly<Record<string, LogLevel.LogLevel>> = {
  all: LogLevel.All,
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  fatal: LogLevel.Fatal,
  none: LogLevel.None
}

const passphraseFd: GlobalOption = option({
  name: "passphrase-fd",
  value: "N",
  describe:
    "Read the passphrase of a protected key from file descriptor N. Without it the passphrase comes from SEALWIRE_PASSPHRASE or the terminal.",
  fault: (value) => (/^\d{1,9}$/.test(value) ? undefined : `${quoted(value)} is not a number`)
})

const globalOptions: ReadonlyArray<GlobalOption> = [
  option({
    name: "verbose",
    short: "v",
    many: true,
    describe: "Log more on stderr: details (-v), everything (-vv)."
  }),
  option({
    name: "quiet",
    short: "q",
    excludes: ["--verbose"],
    guesses: ["--silent"],
    describe: "Log errors only."
  }),
  option({
    name: "log-level",
    value: "LEVEL",
    choices: Object.keys(logLevels),
    excludes: ["--verbose", "--quiet"],
    describe: "Minimum log level on stderr: trace, debug, info, warning, error or none.",
    default: "info"
  }),
  passphraseFd,
  option({
    name: "help",
    short: "h",
    describe: "Show all of the help; -h shows a summary."
  }),
  option({ name: "version", short: "V", describe: "Show the version." })
]

/** The global options that have an effect on a command. */
export const globalOptionsOf = ({
  loadsKey = true
}: Pick<CommandSpec, "loadsKey">): ReadonlyArray<GlobalOption> =>
  loadsKey ? globalOptions : globalOptions.filter((each) => each !== passphraseFd)

/** The minimum log level that the settings ask for. */
export const minimumLogLevel = (settings: Settings): LogLevel.LogLevel => {
  const [named] = settings.get("--log-level") ?? []
  if (named !== undefined) return logLevels[named] ?? LogLevel.Info
  if (settings.has("--quiet")) return LogLevel.Error
  const verbose = settings.get("--verbose")?.length ?? 0
  return verbose === 0 ? LogLevel.Info : verbose === 1 ? LogLevel.Debug : LogLevel.All
}
