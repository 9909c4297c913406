// Splits a line of a peers file into options and words, by the syntax of sshd's authorized_keys.
// PEERS.md.
import * as Either from "effect/Either"

/** A word of a line, with its column, from 1. */
export interface Word {
  readonly text: string
  readonly column: number
}

/** An option of a line: `word` or `name="value"`. */
export interface GivenOption {
  readonly name: string
  readonly column: number
  /** The text between the quotes, not unescaped; undefined for an option without a value. */
  readonly quoted: string | undefined
}

/** The value: the text between the quotes, unescaped. */
export const valueOf = ({ quoted = "" }: GivenOption): string =>
  quoted.includes("\\") ? quoted.replaceAll('\\"', '"') : quoted

/** The column of the character at an offset of the value. */
export const columnAt = ({ name, column, quoted = "" }: GivenOption, offset: number): number => {
  let at = 0
  for (let count = 0; count < offset; count++) at += quoted.startsWith('\\"', at) ? 2 : 1
  return column + name.length + 2 + at
}

export interface PeerLine {
  readonly number: number
  readonly options: ReadonlyArray<GivenOption>
  readonly words: ReadonlyArray<Word>
  /** The column after the last word. */
  readonly end: number
}

/** An error in a line: its column, and the reason as a clause. */
export interface Fault {
  readonly column: number
  readonly detail: string
}

/** Yields the lines of a text, without their ends (`\n` or `\r\n`). */
export function* linesOf(text: string): Generator<string, void> {
  for (let start = 0, end = 0; end < text.length; start = end + 1) {
    const found = text.indexOf("\n", start)
    end = found < 0 ? text.length : found
    const line = text.slice(start, end)
    yield line.endsWith("\r") ? line.slice(0, -1) : line
  }
}

/** Parses a line; undefined if it is blank or a comment. Whitespace is spaces and tabs. */
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

/**
 * The start of a line with options. No key or address matches: each contains a digit, `:` or `/`.
 */
const beginsWithOption = /[A-Za-z-]+(?=[=", \t]|$)/y

/** Parses options from `start`; returns the index after them, or the error. */
const optionsFrom = (line: string, start: number, options: Array<GivenOption>): number | Fault => {
  beginsWithOption.lastIndex = start
  if (!beginsWithOption.test(line)) return start
  for (let at = start; ; at++) {
    const name = nameAt(line, at)
    if (name === "") return { column: at + 1, detail: "option expected" }
    const column = at + 1
    at += name.length
    const quote = line[at] === "=" && line[at + 1] === '"'
    if (!quote && (line[at] === "=" || line[at] === '"'))
      return { column: at + 1, detail: 'write the value as name="value"' }
    const close = quote ? closeOf(line, at + 2) : at
    if (close < 0) return { column: at + 2, detail: "unclosed quote" }
    options.push({ name, column, quoted: quote ? line.slice(at + 2, close) : undefined })
    at = quote ? close + 1 : at
    const next = line[at]
    if (next === undefined || next === " " || next === "\t") return at
    if (next !== ",") return { column: at + 1, detail: "comma or space expected after an option" }
  }
}

const namePattern = /[A-Za-z-]*/y

const nameAt = (line: string, at: number): string => {
  namePattern.lastIndex = at
  return namePattern.exec(line)?.[0] ?? ""
}

/** The index of the closing quote, or -1; `\"` does not close it. */
const closeOf = (line: string, from: number): number => {
  let close = line.indexOf('"', from)
  while (close > from && line[close - 1] === "\\") close = line.indexOf('"', close + 1)
  return close
}
