// Makes text from a peer safe to print: no control character reaches the terminal, and no
// bidirectional override reorders the line.
import * as Utf8 from "./Utf8.ts"

/**
 * C0 and C1 controls, DEL, line and paragraph separators, bidirectional overrides and isolates,
 * zero-width characters, tags.
 */
const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

const escape = (character: string): string => {
  const code = character.codePointAt(0) ?? 0
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`
}

/** Escapes text for one line: every unsafe character as `\x1b` or `\u202e`. */
export const line = (text: string): string => text.replace(unsafe, escape)

/** Escapes text for a terminal as `line` does, but keeps newlines and tabs. */
export const block = (text: string): string =>
  text.replace(unsafe, (character) =>
    character === "\n" || character === "\t" ? character : escape(character)
  )

/**
 * Formats a value as one line of JSON. JSON leaves all unsafe characters but C0 controls as they
 * are, and some readers end a line at U+0085, U+2028 or U+2029: each becomes a `\\u` escape.
 */
export const json = (value: unknown): string =>
  JSON.stringify(value).replace(unsafe, (character) =>
    character
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join("")
  )

/**
 * Escapes bytes for a terminal: as text if they are UTF-8, else every byte above 0x7f as `\xff`.
 */
export const bytes = (data: Uint8Array): string =>
  block(Utf8.decode(data) ?? "") ||
  Array.from(data, (byte) =>
    byte < 0x80 ? block(String.fromCharCode(byte)) : escape(String.fromCharCode(byte))
  ).join("")
