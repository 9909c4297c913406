// Formats help for a screen: headings, rows, wrapped paragraphs.
import type { Screen } from "../Screen.ts"

/** The lines of a text, each at most `columns` wide and indented by `indent`, where words allow. */
export const wrap = (text: string, columns: number, indent = 0): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`
    if (line !== "" && indent + longer.length > columns) {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line].map((each) => `${" ".repeat(indent)}${each}`)
}

/** A command line, continued with a backslash where it is too long; quoted words stay whole. */
export const commandLines = (
  command: string,
  columns: number,
  indent = 2
): ReadonlyArray<string> => {
  const words = command.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []
  const lines: Array<string> = []
  let line = ""
  for (const word of words) {
    const longer = line === "" ? word : `${line} ${word}`
    const margin = indent + (lines.length > 0 ? 2 : 0)
    if (line !== "" && margin + longer.length + 2 > columns) {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line].map((each, index, { length }) => {
    const margin = " ".repeat(indent + (index > 0 ? 2 : 0))
    return `${margin}${each}${index < length - 1 ? " \\" : ""}`
  })
}

/** Two columns; a left side that is too wide stands alone on its line. */
export const rows = (
  pairs: ReadonlyArray<readonly [left: string, right: string]>,
  columns: number,
  maxLeft = Math.floor(columns * 0.4)
): ReadonlyArray<string> => {
  const width = Math.max(
    0,
    ...pairs.map(([left]) => left.length).filter((length) => length <= maxLeft)
  )
  const start = 2 + width + 2
  return pairs.flatMap(([left, right]) => {
    const [first = "", ...more] = wrap(right, columns, start)
    return left.length <= width
      ? [`  ${left.padEnd(width)}  ${first.trimStart()}`.trimEnd(), ...more]
      : [`  ${left}`, first, ...more]
  })
}

/** Each left side on its own line, with its text indented below. */
export const stacked = (
  pairs: ReadonlyArray<readonly [left: string, right: string]>,
  columns: number
): ReadonlyArray<string> =>
  pairs.flatMap(([left, right]) => [`  ${left}`, ...wrap(right, columns, 6)])

export const heading = (text: string, { colour }: Screen): string =>
  colour ? `\u001b[1m${text}\u001b[0m` : text

/** A heading and its lines; nothing without lines. */
export const section = (
  title: string,
  lines: ReadonlyArray<string>,
  screen: Screen
): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [[heading(title, screen), ...lines].join("\n")]
