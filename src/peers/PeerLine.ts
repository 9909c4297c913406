// A line of a peers file, cut into options and words. The grammar is that of sshd's authorized_keys. keys/PEERS.md.
import * as Either from "effect/Either"

/** What a line is made of, with the column it begins at, from 1. */
export interface Word {
  readonly text: string
  readonly column: number
}

/** `word`, or `name="value"`. */
export interface GivenOption {
  readonly name: string
  readonly column: number
  /** What stands between the quotes, as it stands there; undefined for a word alone. */
  readonly quoted: string | undefined
}

/** The value: what is quoted, with `\"` undone. */
export const valueOf = ({ quoted = "" }: GivenOption): string =>
  quoted.includes("\\") ? quoted.replaceAll('\\"', '"') : quoted

/** The column of the value's character at that offset. */
export const columnAt = ({ name, column, quoted = "" }: GivenOption, offset: number): number => {
  let at = 0
  for (let count = 0; count < offset; count++) at += quoted.startsWith('\\"', at) ? 2 : 1
  return column + name.length + 2 + at
}

export interface PeerLine {
  readonly number: number
  readonly options: ReadonlyArray<GivenOption>
  readonly words: ReadonlyArray<Word>
  /** The column behind the last word. */
  readonly end: number
}

/** Where a text is wrong, and how, in a clause. */
export interface Fault {
  readonly column: number
  readonly detail: string
}

/** The lines of a text, without what ends them (`\n` or `\r\n`). */
export const linesOf = (text: string): ReadonlyArray<string> =>
  text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line))

/** The parts of a line; undefined where it is blank or a comment. Blanks are spaces and tabs, none of them within the options. */
export const parse = (line: string, number: number): Either.Either<PeerLine | undefined, Fault> => {
  const start = line.search(/[^\ufeff \t]/)
  if (start < 0 || line[start] === "#") return Either.right(undefined)
  const options: Array<GivenOption> = []
  const end = optionsFrom(line, start, options)
  return typeof end === "number"
    ? Either.right({ number, options, ...wordsFrom(line, end) })
    : Either.left(end)
}

const wordsFrom = (line: string, start: number) => {
  const words: Array<Word> = []
  const pattern = /[^ \t]+/g
  pattern.lastIndex = start
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line))
    words.push({ text: match[0], column: match.index + 1 })
  const last = words.at(-1)
  return { words, end: last === undefined ? start + 1 : last.column + last.text.length }
}

/** How a line with options begins. Keys and addresses do not: each has a digit, `:` or `/` in it. */
const beginsWithOption = /[A-Za-z-]+(?=[=", \t]|$)/y

/** Where the options end that begin there, or what is wrong with them. */
const optionsFrom = (line: string, start: number, options: Array<GivenOption>): number | Fault => {
  beginsWithOption.lastIndex = start
  if (!beginsWithOption.test(line)) return start
  for (let at = start; ; at++) {
    const name = nameAt(line, at)
    if (name === "") return { column: at + 1, detail: "an option is missing here" }
    const column = at + 1
    at += name.length
    const quote = line[at] === "=" && line[at + 1] === '"'
    if (!quote && (line[at] === "=" || line[at] === '"'))
      return { column: at + 1, detail: 'a value stands behind = and in quotes: name="value"' }
    const close = quote ? closeOf(line, at + 2) : at
    if (close < 0) return { column: at + 2, detail: "this quote is not closed" }
    options.push({ name, column, quoted: quote ? line.slice(at + 2, close) : undefined })
    at = quote ? close + 1 : at
    const next = line[at]
    if (next === undefined || next === " " || next === "\t") return at
    if (next !== ",") return { column: at + 1, detail: "after an option comes a comma or a blank" }
  }
}

const namePattern = /[A-Za-z-]*/y

const nameAt = (line: string, at: number): string => {
  namePattern.lastIndex = at
  return namePattern.exec(line)?.[0] ?? ""
}

/** Where the quote closes, or -1; `\"` does not close it. */
const closeOf = (line: string, from: number): number => {
  let close = line.indexOf('"', from)
  while (close > from && line[close - 1] === "\\") close = line.indexOf('"', close + 1)
  return close
}
