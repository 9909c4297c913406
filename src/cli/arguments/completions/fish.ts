// The completion script for fish.
import type { CommandList } from "../CommandList.ts"
import type { CommandSpec } from "../CommandSpec.ts"
import { summaryOf } from "../describe.ts"
import { globalOptionsOf } from "../globalOptions.ts"
import { groupsOf, namesInPeers, nextWords, peerFiles, sourceOf, type Source } from "./Source.ts"

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`

const actionOf = (source: Source): string => {
  if (source.kind === "words") return `-f -a ${quoted(source.words.join(" "))}`
  if (source.kind === "file") return "-F"
  if (source.kind === "folder") return "-f -a '(__fish_complete_directories)'"
  return source.kind === "none"
    ? "-f"
    : `-f -a ${quoted(`(__sealwire_peers ${peerFiles[source.kind].join(" ")})`)}`
}

const commandLines = (list: CommandList, command: CommandSpec): ReadonlyArray<string> => {
  const start = `complete -c sealwire -n '__sealwire_in ${command.path.join(" ")}'`
  const operand = command.operands.at(-1)
  const source: Source = operand === undefined ? { kind: "none" } : sourceOf(list, operand)
  return [
    ...[...command.options, ...globalOptionsOf(command)].map((option) =>
      [
        start,
        ...(option.short === undefined ? [] : [`-s ${option.short}`]),
        `-l ${option.name}`,
        ...(option.value === undefined ? [] : [`-r ${actionOf(sourceOf(list, option))}`]),
        `-d ${quoted(summaryOf(option))}`
      ].join(" ")
    ),
    ...(source.kind === "none" ? [] : [`${start} ${actionOf(source)}`])
  ]
}

const wordLines = (list: CommandList, before: ReadonlyArray<string>): ReadonlyArray<string> =>
  nextWords(list, before).map(
    ([word, summary]) =>
      `complete -c sealwire -n '__sealwire_after ${before.join(" ")}' -f -a ${word} -d ${quoted(summary)}`
  )

export const fishScript = (list: CommandList): string =>
  [
    "# Completions of sealwire for fish: sealwire completions fish | source",
    "function __sealwire_in",
    "    set -l words (commandline -opc)",
    "    set -e words[1]",
    "    for word in $argv",
    '        test "$words[1]" = "$word"; or return 1',
    "        set -e words[1]",
    "    end",
    "end",
    "function __sealwire_after",
    "    __sealwire_in $argv; and test (count (commandline -opc)) -eq (math 1 + (count $argv))",
    "end",
    "function __sealwire_peers",
    "    set -l folder $HOME/.config",
    '    test -n "$XDG_CONFIG_HOME"; and set folder $XDG_CONFIG_HOME',
    "    for file in $argv",
    `        ${namesInPeers.replaceAll("\\", "\\\\")} $folder/sealwire/$file 2>/dev/null`,
    "    end",
    "end",
    "complete -c sealwire -f",
    ...wordLines(list, []),
    ...groupsOf(list).flatMap((group) => wordLines(list, [group])),
    ...list.shown.flatMap((command) => commandLines(list, command))
  ].join("\n")
