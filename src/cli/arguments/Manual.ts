// Manual pages in the language of man(7), one for each command and one for all.
import { exitCodeTexts } from "../output/ExitCode.ts"
import type { CommandList } from "./CommandList.ts"
import { commandGroups, type CommandSpec } from "./CommandSpec.ts"
import { descriptionOf, nameOf, operandOf, optionGroupsOf, usageOf } from "./describe.ts"
import type { FlagData } from "./Flag.ts"
import { commandLines, wrap } from "./helpText.ts"
import { rootExamples, sentence } from "./Help.ts"
import { topics } from "./topics.ts"

/** The name of a page's file: "sealwire-push.1". */
export const fileOf = (path: ReadonlyArray<string>): string => `${pageName(path)}.1`

const pageName = (path: ReadonlyArray<string>): string => ["sealwire", ...path].join("-")

/** The longest line of a source; mandoc warns beyond 80 bytes. */
const sourceColumns = 76

/** Text with its special characters escaped. Hyphens stay those of the keyboard, to be copied. */
const escaped = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(
      /[^\u0000-\u007f]/gu,
      (char) => `\\[u${char.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}]`
    )
    .replace(/^(?=[.'])/, "\\&")

const paragraph = (text: string): ReadonlyArray<string> =>
  wrap(escaped(text), sourceColumns).map((line) => line.replace(/^(?=[.'])/, "\\&"))

const bold = (text: string): string => `\\fB${escaped(text)}\\fR`
const italic = (text: string): string => `\\fI${escaped(text)}\\fR`

/** A term and its definition. */
const item = (term: string, text: string): ReadonlyArray<string> => [
  ".TP",
  term,
  ...paragraph(text)
]

const items = (rows: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> =>
  rows.flatMap(([left, right]) => item(bold(left), right))

const termOf = ({ name, short, value }: FlagData): string =>
  [
    ...(short === undefined ? [] : [`${bold(`-${short}`)}, `]),
    bold(`--${name}`),
    ...(value === undefined ? [] : [` ${italic(value)}`])
  ].join("")

/** Commands as they are typed, each with its effect. */
const examples = (rows: CommandSpec["examples"]): ReadonlyArray<string> =>
  rows.flatMap(([command, meaning], index) => [
    ...(index > 0 ? [".PP"] : []),
    ...paragraph(`${meaning[0]?.toUpperCase()}${meaning.slice(1)}:`),
    ".PP",
    ".nf",
    ".RS",
    ...commandLines(command, sourceColumns - 12, 0).map(escaped),
    ".RE",
    ".fi"
  ])

const exitStatus = (exits: CommandSpec["exits"]): ReadonlyArray<string> =>
  items(
    exitCodeTexts.filter(([codes]) => {
      const code = Number.parseInt(codes, 10)
      return exits === undefined || code <= 2 || code > 100 || exits.includes(code)
    })
  )

const reference = (path: ReadonlyArray<string>): string => `${bold(pageName(path))}(1)`

/** The version of the program, and the date of its pages as YYYY-MM-DD. */
export interface Release {
  readonly version: string
  readonly date: string
}

const head = (path: ReadonlyArray<string>, summary: string, { version, date }: Release) => [
  `.TH ${escaped(pageName(path).toUpperCase())} 1 "${date}" "sealwire ${version}" "Sealwire manual"`,
  ".SH NAME",
  ...wrap(`${escaped(pageName(path))} \\- ${escaped(summary)}`, sourceColumns),
  ".SH SYNOPSIS"
]

const commandPage = (command: CommandSpec, release: Release): ReadonlyArray<string> => [
  ...head(command.path, command.summary, release),
  bold(nameOf(command)),
  ...paragraph(usageOf(command).slice(nameOf(command).length + 1)),
  ".SH DESCRIPTION",
  ...paragraph(
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.${command.about === undefined ? "" : ` ${command.about}`}`
  ),
  ...command.operands.flatMap((operand) => item(italic(operandOf(operand)), operand.describe)),
  ".SH OPTIONS",
  ...optionGroupsOf(command).flatMap(([heading, options]) => [
    ...(heading === "Options" ? [] : [`.SS ${heading}`]),
    ...options.flatMap((option) => item(termOf(option), descriptionOf(option)))
  ]),
  ".SH EXIT STATUS",
  ...exitStatus(command.exits),
  ".SH EXAMPLES",
  ...examples(command.examples),
  ".SH SEE ALSO",
  reference([])
]

const rootPage = ({ shown }: CommandList, release: Release): ReadonlyArray<string> => [
  ...head([], "encrypted, authenticated messages, files and tunnels", release),
  ".B sealwire",
  ".I COMMAND",
  `[${italic("OPTIONS")}] [${italic("ARGUMENTS")}]`,
  ".SH DESCRIPTION",
  ...paragraph(sentence),
  ...paragraph("Each command has its own page: man sealwire-push."),
  ".SH COMMANDS",
  ...commandGroups.flatMap((group) => [
    `.SS ${group}`,
    ...shown
      .filter((command) => command.group === group)
      .flatMap(({ path, summary }) => item(bold(path.join(" ")), summary))
  ]),
  ...topics
    .filter(({ name }) => name !== "exit-codes")
    .flatMap(({ name, text, rows }) => [
      `.SH ${name.toUpperCase()}`,
      ...paragraph(text),
      ...items(rows)
    ]),
  ".SH EXIT STATUS",
  ...exitStatus(undefined),
  ".SH EXAMPLES",
  ...examples(rootExamples),
  ".SH SEE ALSO",
  ...shown.map(({ path }, index) => `${reference(path)}${index < shown.length - 1 ? "," : ""}`)
]

/** The pages by the names of their files. */
export const manualPages = (list: CommandList, release: Release): ReadonlyMap<string, string> =>
  new Map(
    [
      [fileOf([]), rootPage(list, release)] as const,
      ...list.shown.map((command) => [fileOf(command.path), commandPage(command, release)] as const)
    ].map(([file, lines]) => [file, `${lines.join("\n")}\n`])
  )
