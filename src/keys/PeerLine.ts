// A line of a peers file, cut into options and words. The grammar is that of sshd's authorized_keys. keys/PEERS.md.
import * as Either from "effect/Either"

/** What a line is made of, with the column it begins at, from 1. */
export interface Word {
  readonly text: string
  readonly column: number
}

/** `word`, or `name="value"`. */
export interface Given {
  readonly name: string
  readonly column: number
  /** The text between the quotes, `\"` undone. */
  readonly value: string | undefined
  /** The column of the value's character at that offset. */
  readonly columnAt: (offset: number) => number
}

export interface PeerLine {
  readonly number: number
  readonly options: ReadonlyArray<Given>
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
  const start = /^\ufeff?[ \t]*/.exec(line)?.[0].length ?? 0
  if (start === line.length || line[start] === "#") return Either.right(undefined)
  // A key or an address never looks so: each has a digit, `:` or `/` in it.
  if (!/^[A-Za-z-]+(?=[=", \t]|$)/.test(line.slice(start)))
    return Either.right({ number, options: [], ...wordsFrom(line, start) })
  return Either.map(optionsFrom(line, start), ({ options, end }) => ({ number, options, ...wordsFrom(line, end) }))
}

const wordsFrom = (line: string, start: number) => {
  const words = [...line.slice(start).matchAll(/[^ \t]+/g)].map(({ 0: text, index }) => ({ text, column: start + index + 1 }))
  const last = words.at(-1)
  return { words, end: last === undefined ? start + 1 : last.column + last.text.length }
}

const optionPattern = /(?<name>[A-Za-z-]*)(?<equals>=?)(?<quoted>"(?<value>(?:\\"|[^"])*)(?<close>"?))?/y

const optionsFrom = (
  line: string,
  start: number
): Either.Either<{ readonly options: ReadonlyArray<Given>; readonly end: number }, Fault> => {
  const options: Array<Given> = []
  let at = start
  for (;;) {
    optionPattern.lastIndex = at
    const { name = "", equals, quoted, value = "", close } = optionPattern.exec(line)?.groups ?? {}
    const valueAt = at + name.length + 2
    const wrong = (index: number, detail: string): Either.Either<never, Fault> => Either.left({ column: index + 1, detail })
    if (name === "") return wrong(at, "an option is missing here")
    if ((equals === "=") !== (quoted !== undefined))
      return wrong(at + name.length, 'a value stands behind = and in quotes: name="value"')
    if (close === "") return wrong(valueAt - 1, "this quote is not closed")
    options.push({
      name,
      column: at + 1,
      value: quoted === undefined ? undefined : value.replaceAll('\\"', '"'),
      columnAt: (offset) => valueAt + rawOffset(value, offset) + 1
    })
    at = quoted === undefined ? at + name.length : valueAt + value.length + 1
    const next = line[at]
    if (next === undefined || next === " " || next === "\t") return Either.right({ options, end: at })
    if (next !== ",") return wrong(at, "after an option comes a comma or a blank")
    at++
  }
}

/** Where the character at that offset of the value stands in the quoted text. */
const rawOffset = (raw: string, offset: number): number => {
  let at = 0
  for (let count = 0; count < offset; count++) at += raw.startsWith('\\"', at) ? 2 : 1
  return at
}
