// `--help`: what it is, examples first, then usage and options. The options' texts are those of @effect/cli.
import type * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Usage from "@effect/cli/Usage"
import { beforeDashes, findCommand, type CommandList } from "./CommandList.ts"
import type { CommandSpec } from "./CommandSpec.ts"

/** What the arguments ask help for: a command, a group of them, or everything. */
export const helpFor = (list: CommandList, args: ReadonlyArray<string>): string | undefined => {
  const words = beforeDashes(args)
  const named = findCommand(list, words)
  const wanted = words.some((word) => word === "--help" || word === "-h")
  if (named !== undefined) return wanted ? ofCommand(named) : undefined
  const group =
    words[0] !== undefined && Object.hasOwn(list.groups, words[0]) ? words[0] : undefined
  if (group !== undefined && (wanted || words.length === 1)) return ofGroup(list, group)
  return words.length === 0 || wanted ? ofAll(list) : undefined
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

const builtIns: ReadonlyArray<readonly [string, string]> = [
  ["--help, -h", "this help, for any command"],
  ["--version", "the version"],
  ["--completions SHELL", "a completion script for bash, zsh or fish"],
  ["--log-level LEVEL", "the least that is said on stderr: debug, info, warning, error, none"],
  [
    "--passphrase-fd N",
    "where a protected key's passphrase is read; else SEALWIRE_PASSPHRASE, else the terminal"
  ]
]

const nameOf = ({ path }: CommandSpec): string => `sealwire ${path.join(" ")}`

const listOf = (entries: ReadonlyArray<CommandSpec>) =>
  table(entries.map((each) => [each.path.join(" "), each.summary]))

const ofAll = ({ shown }: CommandList): string =>
  [
    "sealwire: encrypted, authenticated messages between programs that know each other's key",
    section("EXAMPLES", exampleLines(shown.flatMap(({ examples }) => examples.slice(0, 1)))),
    section("COMMANDS", listOf(shown)),
    section("EVERY COMMAND", table(builtIns)),
    section("EXIT CODES", [
      "0 done  1 a bug  2 usage  3 key missing or refused  4 authentication  5 network, retry may help",
      "6 tampering  7 incomplete, resumable  8 refused by the peer's rules  129, 130, 143 stopped by a signal"
    ])
  ].join("\n\n")

const ofGroup = ({ commands, groups }: CommandList, group: string): string => {
  const members = commands.filter(({ path }) => path[0] === group)
  return [
    `sealwire ${group}: ${groups[group] ?? ""}`,
    section("EXAMPLES", exampleLines(members.flatMap(({ examples }) => examples.slice(0, 1)))),
    section("COMMANDS", listOf(members)),
    section("EVERY COMMAND", table(builtIns))
  ].join("\n\n")
}

const ofCommand = (entry: CommandSpec): string =>
  [
    `${nameOf(entry)}: ${entry.summary}`,
    section("EXAMPLES", exampleLines(entry.examples)),
    section("USAGE", [usageOf(entry)]),
    optionsOf(entry),
    section("EVERY COMMAND", table(builtIns))
  ].join("\n\n")

/** What @effect/cli says of arguments and options, less the sentences that say nothing. */
const optionsOf = (entry: CommandSpec): string =>
  bare(HelpDoc.toAnsiText(Command.getHelp(entry.command, cliConfig)))
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

export const usageOf = (entry: CommandSpec): string => {
  const usage = bare(HelpDoc.toAnsiText(Usage.getHelp(Command.getUsage(entry.command))))
    .trim()
    // An option that may be given many times may be left out too, which @effect/cli does not show.
    .replace(/(--\S+ [^\s.]+)\.\.\./g, "[$1]...")
  return `sealwire ${[...entry.path.slice(0, -1), usage].join(" ")}`
}

/** An option with two names, without the parentheses of @effect/cli: `-o, --output KEY`. */
const bare = (text: string): string => text.replace(/\((-[a-z], --[^()]+)\)/g, "$1")

/** How @effect/cli reads and shows options here. */
export const cliConfig: CliConfig.CliConfig = {
  isCaseSensitive: true,
  autoCorrectLimit: 2,
  finalCheckBuiltIn: false,
  showAllNames: true,
  showBuiltIns: false,
  showTypes: false
}
