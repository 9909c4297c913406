// The source of completions for a value or an argument, in a form that every shell's script shares.
import type { CommandList } from "../CommandList.ts"
import type { FlagData } from "../Flag.ts"
import type { OperandData } from "../Operand.ts"
import { topics } from "../topics.ts"

/** The origin of the words that complete a value. */
export type Source =
  | { readonly kind: "words"; readonly words: ReadonlyArray<string> }
  | { readonly kind: "file" | "folder" | "client" | "server" | "peer" | "none" }

/** Placeholders whose values are paths. */
const byPlaceholder: Readonly<Record<string, Source>> = {
  FILE: { kind: "file" },
  PATH: { kind: "file" },
  SOCKET: { kind: "file" },
  DIR: { kind: "folder" }
}

export const sourceOf = (
  list: CommandList,
  { choices, completes, ...data }: FlagData | OperandData
): Source => {
  if (choices !== undefined) return { kind: "words", words: choices }
  if (completes === "command") return { kind: "words", words: helpWords(list) }
  if (completes !== undefined) return { kind: completes }
  const placeholder = ("value" in data ? data.value : undefined) ?? data.name
  return byPlaceholder[placeholder] ?? { kind: "none" }
}

const helpWords = ({ shown }: CommandList): ReadonlyArray<string> => [
  ...new Set([...shown.map(({ path }) => path[0]), ...topics.map(({ name }) => name)])
]

/** The commands after some words, each with its description; a group of commands counts as one. */
export const nextWords = (
  { shown, groups }: CommandList,
  before: ReadonlyArray<string>
): ReadonlyArray<readonly [word: string, summary: string]> => {
  const found = new Map<string, string>()
  for (const { path, summary } of shown) {
    const word = path[before.length]
    if (word === undefined || !before.every((each, index) => path[index] === each)) continue
    const isLast = path.length === before.length + 1
    found.set(word, isLast ? summary : (groups[word] ?? summary))
  }
  return [...found]
}

/** The first words that group commands. */
export const groupsOf = ({ shown }: CommandList): ReadonlyArray<string> => [
  ...new Set(shown.filter(({ path }) => path.length > 1).map(({ path }) => path[0]))
]

/** The files with the names of each kind of peer, in the folder of the configuration. */
export const peerFiles = {
  client: ["authorized_peers"],
  server: ["known_peers"],
  peer: ["authorized_peers", "known_peers"]
} as const

/** Prints the name after each public key in a peers file, for POSIX sed. */
export const namesInPeers =
  "sed -n '/^#/d;s/.*sealwire1[0-9a-z]\\{58,\\}[ \\t]\\{1,\\}\\([^ \\t]\\{1,\\}\\).*/\\1/p'"

/** A text in single quotes for a POSIX shell. */
export const quotedForShell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
