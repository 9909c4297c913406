// The completion script for bash, which needs no bash-completion.
import type { CommandList } from "../CommandList.ts"
import type { CommandSpec } from "../CommandSpec.ts"
import { globalOptionsOf } from "../globalOptions.ts"
import { groupsOf, namesInPeers, nextWords, peerFiles, sourceOf, type Source } from "./Source.ts"

const actionOf = (source: Source): string =>
  source.kind === "words"
    ? `_sealwire_words '${source.words.join(" ")}'`
    : source.kind === "none"
      ? ":"
      : source.kind === "file" || source.kind === "folder"
        ? `_sealwire_${source.kind}s`
        : `_sealwire_peers ${peerFiles[source.kind].join(" ")}`

/** The options with their values, the names of options, and the arguments of one command. */
const commandCase = (list: CommandList, command: CommandSpec): ReadonlyArray<string> => {
  const options = [...command.options, ...globalOptionsOf(command)]
  const names = options.flatMap(({ name, short }) => [
    `--${name}`,
    ...(short === undefined ? [] : [`-${short}`])
  ])
  const values = options
    .filter(({ value }) => value !== undefined)
    .map((option) => {
      const patterns = [
        `--${option.name}`,
        ...(option.short === undefined ? [] : [`-${option.short}`])
      ]
      return `        ${patterns.join("|")}) ${actionOf(sourceOf(list, option))}; return ;;`
    })
  const operand = command.operands.at(-1)
  return [
    `    '${command.path.join(" ")}')`,
    "      case $prev in",
    ...values,
    "      esac",
    `      if [[ $cur == -* ]]; then _sealwire_words '${names.join(" ")}'`,
    `      else ${operand === undefined ? ":" : actionOf(sourceOf(list, operand))}; fi ;;`
  ]
}

const wordsAfter = (list: CommandList, before: ReadonlyArray<string>): string =>
  nextWords(list, before)
    .map(([word]) => word)
    .join(" ")

export const bashScript = (list: CommandList): string =>
  [
    '# Completions of sealwire for bash: eval "$(sealwire completions bash)"',
    '_sealwire_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }',
    '_sealwire_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }',
    '_sealwire_folders() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); }',
    "_sealwire_peers() {",
    "  local file names=",
    "  for file; do",
    `    names+=" $(${namesInPeers} "\${XDG_CONFIG_HOME:-$HOME/.config}/sealwire/$file" 2>/dev/null)"`,
    "  done",
    '  _sealwire_words "$names"',
    "}",
    "_sealwire() {",
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}",
    "  COMPREPLY=()",
    "  # bash splits --name=value at the sign.",
    "  [[ $cur == = ]] && cur= && prev==",
    "  [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}",
    "  [[ ${COMP_WORDS[COMP_CWORD]} == = ]] && prev=${COMP_WORDS[COMP_CWORD-1]}",
    `  if ((COMP_CWORD == 1)); then _sealwire_words '${wordsAfter(list, [])} --help --version'; return; fi`,
    "  case $command in",
    ...groupsOf(list).map(
      (group) =>
        `    ${group}) if ((COMP_CWORD == 2)); then _sealwire_words '${wordsAfter(list, [group])}'; return; fi; command+=" \${COMP_WORDS[2]}" ;;`
    ),
    "  esac",
    "  case $command in",
    ...list.shown.flatMap((command) => commandCase(list, command)),
    "  esac",
    "}",
    "complete -F _sealwire sealwire"
  ].join("\n")
