// `--help`: summary, examples, usage, options. @effect/cli formats the texts of the options.
import type * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Usage from "@effect/cli/Usage"
import { beforeDashes, findCommand, type CommandList } from "./CommandList.ts"
import type { CommandSpec } from "./CommandSpec.ts"
import { loadsNoKey } from "./optionRules.ts"

/**
 * The help page that the arguments ask for: of a command, of a group of commands, or of all.
 * Undefined if they ask for none.
 */
export const helpFor = (list: CommandList, args: ReadonlyArray<string>): string | undefined => {
  const words = beforeDashes(args)
  const named = findCommand(list, words)
  const isWanted = words.some((word) => word === "--help" || word === "-h")
  if (named !== undefined) return isWanted ? commandPage(named) : undefined
  const group =
    words[0] !== undefined && Object.hasOwn(list.groups, words[0]) ? words[0] : undefined
  if (group !== undefined && (isWanted || words.length === 1)) return groupPage(list, group)
  return words.length === 0 || isWanted ? rootPage(list) : undefined
}

const heading = (text: string): string => `\u001b[1m${text}\u001b[0m`

const section = (title: string, lines: ReadonlyArray<string>): string =>
  [heading(title), ...lines.map((line) => `  ${line}`)].join("\n")

const table = (rows: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> => {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`)
}

const exampleLines = (examples: CommandSpec["examples"]): ReadonlyArray<string> =>
  examples.flatMap(([command, meaning]) => [`${command}`, `    ${meaning}`])

const passphraseOption = [
  "--passphrase-fd N",
  "read the passphrase of a protected key from file descriptor N (default: SEALWIRE_PASSPHRASE, then the terminal)"
] as const

const builtIns: ReadonlyArray<readonly [string, string]> = [
  ["--help, -h", "show the help of a command"],
  ["--version", "show the version"],
  ["--completions SHELL", "print a completion script for bash, zsh or fish"],
  ["--log-level LEVEL", "minimum log level on stderr: debug, info, warning, error, none"],
  passphraseOption
]

const builtInsOf = (path: ReadonlyArray<string>) =>
  loadsNoKey(path) ? builtIns.filter((option) => option !== passphraseOption) : builtIns

const nameOf = ({ path }: CommandSpec): string => `sealwire ${path.join(" ")}`

const commandRows = (commands: ReadonlyArray<CommandSpec>) =>
  table(commands.map(({ path, summary }) => [path.join(" "), summary]))

const rootPage = ({ shown }: CommandList): string =>
  [
    "sealwire: encrypted, authenticated messages between programs that know each other's key",
    section("EXAMPLES", exampleLines(shown.flatMap(({ examples }) => examples.slice(0, 1)))),
    section("COMMANDS", commandRows(shown)),
    section("EVERY COMMAND", table(builtIns)),
    section("EXIT CODES", [
      ...table([
        ["0", "success: done and acknowledged"],
        ["1", "internal error (a bug in sealwire)"],
        ["2", "usage or configuration error"],
        ["3", "key missing, unreadable or invalid"],
        ["4", "authentication failed"],
        ["5", "network error; a retry may succeed"],
        ["6", "data tampered with or truncated, or protocol error"],
        ["7", "incomplete; run the command again to resume"],
        ["8", "denied by the rules of the other side"],
        ["129, 130, 141, 143", "ended by SIGHUP, SIGINT, SIGPIPE or SIGTERM"]
      ])
    ])
  ].join("\n\n")

const groupPage = ({ commands, groups }: CommandList, group: string): string => {
  const members = commands.filter(({ path }) => path[0] === group)
  return [
    `sealwire ${group}: ${groups[group] ?? ""}`,
    section("EXAMPLES", exampleLines(members.flatMap(({ examples }) => examples.slice(0, 1)))),
    section("COMMANDS", commandRows(members)),
    section("EVERY COMMAND", table(builtInsOf([group])))
  ].join("\n\n")
}

const commandPage = (command: CommandSpec): string =>
  [
    `${nameOf(command)}: ${command.summary}`,
    section("EXAMPLES", exampleLines(command.examples)),
    section("USAGE", [usageOf(command)]),
    optionSection(command),
    section("EVERY COMMAND", table(builtInsOf(command.path)))
  ].join("\n\n")

/** The arguments and options as @effect/cli formats them, without its filler sentences. */
const optionSection = (command: CommandSpec): string =>
  withoutParentheses(HelpDoc.toAnsiText(Command.getHelp(command.command, cliConfig)))
    .trim()
    .split(/\n\s*\n/)
    .filter(
      (paragraph) =>
        !/^\s*(A user-defined piece of text|A true or false value|This setting is optional)\.$/.test(
          paragraph
        )
    )
    .map((paragraph) =>
      /^\S*[A-Z]+\S*$/.test(paragraph) && !paragraph.includes("<")
        ? `\n${paragraph}`
        : `  ${paragraph}`
    )
    .join("\n")
    .trim()

export const usageOf = (command: CommandSpec): string => {
  const usage = withoutParentheses(
    HelpDoc.toAnsiText(Usage.getHelp(Command.getUsage(command.command)))
  )
    .trim()
    // A repeatable option is optional too, which @effect/cli does not show.
    .replace(/(--\S+ [^\s.]+)\.\.\./g, "[$1]...")
  return `sealwire ${[...command.path.slice(0, -1), usage].join(" ")}`
}

/** Removes the parentheses that @effect/cli puts around two names: `-o, --output KEY`. */
const withoutParentheses = (text: string): string => text.replace(/\((-[a-z], --[^()]+)\)/g, "$1")

/** The settings of @effect/cli for parsing and for help. */
export const cliConfig: CliConfig.CliConfig = {
  isCaseSensitive: true,
  autoCorrectLimit: 2,
  finalCheckBuiltIn: false,
  showAllNames: true,
  showBuiltIns: false,
  showTypes: false
}
