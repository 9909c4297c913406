import { createHash } from "node:crypto"

/** The text of a message: its key, its length, and characters that both determine. */
export const textOf = (key: string, filler: number): string => {
  const digits = createHash("sha256").update(`${key} ${filler}`).digest("hex")
  return `${key} ${filler} ${digits.repeat(Math.ceil(filler / digits.length)).slice(0, filler)}`
}

/** The key in a text or its beginning; undefined if there is none. */
export const keyIn = (text: string): string | undefined => /^(\S+) \d+ /.exec(text)?.[1]

/** True if the text is exactly what `textOf` made. */
export const isWhole = (text: string): boolean => {
  const [, key = "", filler = ""] = /^(\S+) (\d+) /.exec(text) ?? []
  return key !== "" && text === textOf(key, Number(filler))
}
