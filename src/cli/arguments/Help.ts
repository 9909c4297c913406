// The pages of help: of all commands, of a group, of a command, of a topic.
import type { Screen } from "../Screen.ts"
import { beforeDashes, findCommand, type CommandList } from "./CommandList.ts"
import { commandGroups, type CommandSpec } from "./CommandSpec.ts"
import {
  descriptionOf,
  firstSentence,
  nameOf,
  namesOf,
  operandOf,
  optionGroupsOf,
  summaryOf,
  usageOf
} from "./describe.ts"
import { commandLines, heading, rows, section, stacked, wrap } from "./helpText.ts"
import { topicOf, topics, type Topic } from "./topics.ts"

/** All of the help, or a summary on one screen. */
export type Length = "long" | "short"

/**
 * The help page that the arguments ask for with `--help`, `-h`, no command at all or a group alone.
 * Undefined if they ask for none, or after a command that does not exist.
 */
export const helpFor = (
  list: CommandList,
  args: ReadonlyArray<string>,
  screen: Screen
): string | undefined => {
  const words = beforeDashes(args)
  const length = words.includes("--help") ? "long" : words.includes("-h") ? "short" : undefined
  const command = findCommand(list, words)
  if (command !== undefined)
    return length === undefined ? undefined : commandPage(command, length, screen)
  const named = words.filter((word) => !word.startsWith("-"))
  const isAlone = words.length === named.length && words.length <= 1
  return length !== undefined || isAlone ? pageOf(list, named, screen) : undefined
}

/** The page of a command, a group or a topic; of all commands without words. */
export const pageOf = (
  list: CommandList,
  words: ReadonlyArray<string>,
  screen: Screen
): string | undefined => {
  const [first, ...more] = words
  if (first === undefined) return rootPage(list, screen)
  const command = list.commands.find(({ path }) => path.join(" ") === words.join(" "))
  if (command !== undefined) return commandPage(command, "long", screen)
  if (more.length > 0) return undefined
  const topic = topicOf(first)
  const pages = [
    ...(Object.hasOwn(list.groups, first) ? [groupPage(list, first, screen)] : []),
    ...(topic === undefined ? [] : [topicPage(topic, screen)])
  ]
  return pages.length === 0 ? undefined : pages.join("\n\n")
}

/** The one sentence about Sealwire. */
export const sentence =
  "Encrypted, authenticated messages, files and tunnels between known machines."

/** The commonest jobs, in the order in which a new user meets them. */
export const rootExamples: ReadonlyArray<readonly [string, string]> = [
  ["sealwire pair nas.example:8080", "exchange keys, once"],
  ['sealwire send "Hello" --to nas.example:8080', "send a message"],
  ["sealwire push ./photos --to nas.example:8080", "copy a folder"],
  ["sealwire tunnel --listen :5432 --to nas.example:8080", "reach a database"],
  ["sealwire encrypt plan.pdf -r alice -o plan.sealed", "encrypt for alice"]
]

/** The commands of a heading; a group of commands is one row. The last line names `help`. */
const rootRows = ({ shown, groups }: CommandList, group: string) => {
  const found = new Map<string, string>()
  for (const { path, summary, group: own } of shown)
    if (own === group && path[0] !== "help") found.set(path[0], groups[path[0]] ?? summary)
  return [...found]
}

const rootPage = (list: CommandList, screen: Screen): string => {
  const { columns } = screen
  const width = Math.max(...list.shown.map(({ path }) => path[0].length))
  const commands = commandGroups.flatMap((group) => [
    heading(group.toUpperCase(), screen),
    ...rows(
      rootRows(list, group).map(([name, summary]) => [name.padEnd(width), summary]),
      columns
    )
  ])
  return [
    wrap(sentence, columns).join("\n"),
    ...section("EXAMPLES", rows(rootExamples, columns, columns - 24), screen),
    commands.join("\n"),
    wrap(
      `More: sealwire help COMMAND or TOPIC (${topics.map(({ name }) => name).join(", ")})`,
      columns
    ).join("\n")
  ].join("\n\n")
}

const groupPage = ({ commands, groups }: CommandList, group: string, screen: Screen): string => {
  const members = commands.filter(({ path }) => path[0] === group)
  return [
    ...wrap(`sealwire ${group}: ${groups[group] ?? ""}`, screen.columns),
    "",
    ...section(
      "EXAMPLES",
      exampleLines(
        members.flatMap(({ examples }) => examples.slice(0, 1)),
        screen
      ),
      screen
    ),
    "",
    ...section(
      "COMMANDS",
      rows(
        members.map(({ path, summary }) => [path.join(" "), summary]),
        screen.columns
      ),
      screen
    ),
    "",
    ...wrap(`Options: sealwire help ${group} COMMAND.`, screen.columns)
  ].join("\n")
}

const topicPage = ({ name, text, rows: table }: Topic, screen: Screen): string =>
  [
    ...section(
      name.toUpperCase(),
      [...wrap(text, screen.columns, 2), "", ...rows(table, screen.columns)],
      screen
    )
  ].join("\n")

const exampleLines = (
  examples: CommandSpec["examples"],
  { columns }: Screen
): ReadonlyArray<string> =>
  examples.flatMap(([command, meaning]) => [
    ...commandLines(command, columns),
    ...wrap(meaning, columns, 6)
  ])

const commandPage = (command: CommandSpec, length: Length, screen: Screen): string => {
  const { columns } = screen
  const isLong = length === "long"
  const operands = command.operands.map(
    (operand) =>
      [operandOf(operand), isLong ? operand.describe : firstSentence(operand.describe)] as const
  )
  const table = isLong ? stacked : rows
  return [
    wrap(`${nameOf(command)}: ${command.summary}`, columns).join("\n"),
    ...(isLong && command.about !== undefined ? [wrap(command.about, columns).join("\n")] : []),
    ...section("USAGE", wrap(usageOf(command), columns, 2), screen),
    ...(isLong ? section("EXAMPLES", exampleLines(command.examples, screen), screen) : []),
    ...section("ARGUMENTS", table(operands, columns), screen),
    ...optionGroupsOf(command).flatMap(([title, options]) =>
      section(
        title.toUpperCase(),
        table(
          options.map((option) => [
            isLong ? namesOf(option).trimStart() : namesOf(option),
            isLong ? descriptionOf(option) : summaryOf(option)
          ]),
          columns
        ),
        screen
      )
    ),
    wrap(
      isLong
        ? "See also: sealwire help keys, addresses, exit-codes or environment."
        : `More: sealwire ${command.path.join(" ")} --help`,
      columns
    ).join("\n")
  ].join("\n\n")
}
