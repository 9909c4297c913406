// The completion script for zsh: a file _sealwire in $fpath, or the argument of eval.
import type { CommandList } from "../CommandList.ts"
import type { CommandSpec } from "../CommandSpec.ts"
import { summaryOf } from "../describe.ts"
import type { FlagData } from "../Flag.ts"
import { globalOptionsOf } from "../globalOptions.ts"
import {
  groupsOf,
  namesInPeers,
  nextWords,
  peerFiles,
  quotedForShell,
  sourceOf,
  type Source
} from "./Source.ts"

/** Escapes what separates the parts of a specification. */
const plain = (text: string): string => text.replace(/[\\[\]:]/g, "\\$&")

const actionOf = (source: Source): string => {
  if (source.kind === "words") return `(${source.words.join(" ")})`
  if (source.kind === "file") return "_files"
  if (source.kind === "folder") return "_files -/"
  // After a space, _arguments adds no arguments of its own.
  return source.kind === "none" ? " " : ` _sealwire-names ${peerFiles[source.kind].join(" ")}`
}

const optionSpecs = (list: CommandList, option: FlagData): ReadonlyArray<string> => {
  const names = [...(option.short === undefined ? [] : [`-${option.short}`]), `--${option.name}`]
  const exclusive = option.many ? "*" : names.length > 1 ? `(${names.join(" ")})` : ""
  return names.map((name) => {
    const sign = option.value === undefined ? "" : name.startsWith("--") ? "=" : "+"
    const value =
      option.value === undefined
        ? ""
        : `:${plain(option.value)}:${actionOf(sourceOf(list, option))}`
    return quotedForShell(`${exclusive}${name}${sign}[${plain(summaryOf(option))}]${value}`)
  })
}

const commandCase = (
  list: CommandList,
  command: CommandSpec,
  word: string
): ReadonlyArray<string> => [
  `      ${word}) _arguments -s : ${[
    ...[...command.options, ...globalOptionsOf(command)].flatMap((option) =>
      optionSpecs(list, option)
    ),
    ...command.operands.map((operand, index) =>
      quotedForShell(
        `${operand.many ? "*" : index + 1}:${plain(operand.name)}:${actionOf(sourceOf(list, operand))}`
      )
    )
  ].join(" ")} ;;`
]

/** Describes the next words, or completes after them. */
const level = (list: CommandList, before: ReadonlyArray<string>): ReadonlyArray<string> => [
  "  if ((CURRENT == 2)); then",
  `    found=(${nextWords(list, before)
    .map(([word, summary]) => quotedForShell(`${word}:${plain(summary)}`))
    .join(" ")})`,
  "    _describe -t commands command found",
  "    return",
  "  fi",
  "  local word=$words[2]",
  // In quotes: the word under the cursor may be empty, and stays.
  '  words=("$words[1]" "${(@)words[3,-1]}")',
  "  ((CURRENT--))",
  "  case $word in",
  ...list.shown
    .filter(
      ({ path }) =>
        path.length === before.length + 1 && before.every((each, index) => path[index] === each)
    )
    .flatMap((command) => commandCase(list, command, command.path.at(-1) ?? "")),
  ...(before.length === 0
    ? groupsOf(list).map((group) => `      ${group}) _sealwire_${group} ;;`)
    : []),
  "  esac"
]

export const zshScript = (list: CommandList): string =>
  [
    "#compdef sealwire",
    '# Completions of sealwire for zsh: eval "$(sealwire completions zsh)", or a file _sealwire in $fpath.',
    "_sealwire-names() {",
    "  local file; local -a names",
    "  for file; do",
    `    names+=(\${(f)"$(${namesInPeers} "\${XDG_CONFIG_HOME:-$HOME/.config}/sealwire/$file" 2>/dev/null)"})`,
    "  done",
    "  compadd -a names",
    "}",
    ...groupsOf(list).flatMap((group) => [
      `_sealwire_${group}() {`,
      "  local -a found",
      ...level(list, [group]),
      "}"
    ]),
    "_sealwire() {",
    "  local -a found",
    ...level(list, []),
    "}",
    'if [[ $funcstack[1] == _sealwire ]]; then _sealwire "$@"; else compdef _sealwire sealwire; fi'
  ].join("\n")
