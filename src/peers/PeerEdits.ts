// Edits of the text of a peers file that leave every other byte as it is. Lines count from 1.
import * as Either from "effect/Either"
import * as PeerLine from "./PeerLine.ts"

/** Appends a line, with the line end of the lines before it. */
export const append = (text: string, line: string): string => {
  const newline = /\r?\n/.exec(text)?.[0] ?? "\n"
  return `${text}${text === "" || text.endsWith("\n") ? "" : newline}${line}${newline}`
}

/** Removes lines. */
export const remove = (text: string, lines: ReadonlyArray<number>): string =>
  change(text, lines, () => "")

/** Changes the name on lines. */
export const rename = (text: string, lines: ReadonlyArray<number>, name: string): string =>
  change(text, lines, (line, { words }) => {
    const last = words.at(-1)
    return last === undefined
      ? line
      : `${line.slice(0, last.column - 1)}${name}${line.slice(last.column - 1 + last.text.length)}`
  })

/** Adds the option `revoked` to lines that do not have it. */
export const revoke = (text: string, lines: ReadonlyArray<number>): string =>
  change(text, lines, (line, parts) => withOption(line, parts, "revoked"))

/** Sets the option `retiring` of a line to a date. */
export const retire = (text: string, line: number, date: string): string =>
  change(text, [line], (whole, parts) => {
    const option = `retiring="${date}"`
    const given = parts.options.find(({ name }) => name === "retiring")
    if (given === undefined) return withOption(whole, parts, option)
    const start = given.column - 1
    return `${whole.slice(0, start)}${option}${whole.slice(start + written(given).length)}`
  })

/** Removes an option of a line, with its comma or space. */
export const removeOption = (text: string, line: number, name: string): string =>
  change(text, [line], (whole, { options, words }) => {
    const at = options.findIndex((option) => option.name === name)
    const [given, following] = [options[at], options[at + 1] ?? words[0]]
    if (given === undefined || following === undefined) return whole
    if (options[at + 1] !== undefined || at === 0)
      return `${whole.slice(0, given.column - 1)}${whole.slice(following.column - 1)}`
    // The last of several: the comma is before it.
    const end = given.column - 1 + written(given).length
    return `${whole.slice(0, given.column - 2)}${whole.slice(end)}`
  })

/** The option as it is written in the line. */
const written = ({ name, quoted }: PeerLine.GivenOption): string =>
  quoted === undefined ? name : `${name}="${quoted}"`

/** Inserts an option before the others of a line. */
const withOption = (
  line: string,
  { options, words }: PeerLine.PeerLine,
  option: string
): string => {
  const start = ((options[0] ?? words[0])?.column ?? 1) - 1
  return `${line.slice(0, start)}${option}${options.length > 0 ? "," : " "}${line.slice(start)}`
}

/** Applies `edit` to lines; it receives the whole line with its line end. */
const change = (
  text: string,
  lines: ReadonlyArray<number>,
  edit: (line: string, parts: PeerLine.PeerLine) => string
): string => {
  const selected = new Set(lines)
  return text
    .split(/(?<=\n)/)
    .map((line, index) => {
      if (!selected.has(index + 1)) return line
      const parts = PeerLine.parse(line.replace(/\r?\n?$/, ""), index + 1)
      return Either.isRight(parts) && parts.right !== undefined ? edit(line, parts.right) : line
    })
    .join("")
}
