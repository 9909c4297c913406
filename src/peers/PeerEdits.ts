// Changes of a peers file's text that leave every other byte as it is. Lines are counted from 1.
import * as Either from "effect/Either"
import * as PeerLine from "./PeerLine.ts"

/** With the line at the end, ended as the lines before it are. */
export const append = (text: string, line: string): string => {
  const newline = /\r?\n/.exec(text)?.[0] ?? "\n"
  return `${text}${text === "" || text.endsWith("\n") ? "" : newline}${line}${newline}`
}

/** Without these lines. */
export const remove = (text: string, lines: ReadonlyArray<number>): string =>
  change(text, lines, () => "")

/** With another name on these lines. */
export const rename = (text: string, lines: ReadonlyArray<number>, name: string): string =>
  change(text, lines, (line, { words }) => {
    const last = words.at(-1)
    return last === undefined
      ? line
      : `${line.slice(0, last.column - 1)}${name}${line.slice(last.column - 1 + last.text.length)}`
  })

/** With the option `revoked` on these lines, which do not have it. */
export const revoke = (text: string, lines: ReadonlyArray<number>): string =>
  change(text, lines, (line, parts) => withOption(line, parts, "revoked"))

/** With this date as the option `retiring` on this line, in the place of the one it has. */
export const retire = (text: string, line: number, date: string): string =>
  change(text, [line], (before, parts) => {
    const option = `retiring="${date}"`
    const given = parts.options.find(({ name }) => name === "retiring")
    if (given === undefined) return withOption(before, parts, option)
    const start = given.column - 1
    return `${before.slice(0, start)}${option}${before.slice(start + `retiring="${given.quoted ?? ""}"`.length)}`
  })

/** The line with one more option, before those it has. */
const withOption = (
  line: string,
  { options, words }: PeerLine.PeerLine,
  option: string
): string => {
  const start = ((options[0] ?? words[0])?.column ?? 1) - 1
  return `${line.slice(0, start)}${option}${options.length > 0 ? "," : " "}${line.slice(start)}`
}

/** `edit` gets the whole line, with what ends it. */
const change = (
  text: string,
  lines: ReadonlyArray<number>,
  edit: (line: string, parts: PeerLine.PeerLine) => string
): string => {
  const wanted = new Set(lines)
  return text
    .split(/(?<=\n)/)
    .map((line, index) => {
      if (!wanted.has(index + 1)) return line
      const parts = PeerLine.parse(line.replace(/\r?\n?$/, ""), index + 1)
      return Either.isRight(parts) && parts.right !== undefined ? edit(line, parts.right) : line
    })
    .join("")
}
