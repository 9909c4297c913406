import * as Printable from "./Printable.ts"

/** Longer than any option or service name, and shorter than a secret key in any text form. */
const maxLength = 40

/** Quotes text from a file for an error. Longer text may be a misplaced secret and is omitted. */
export const excerpt = (text: string): string =>
  text.length > maxLength ? "this" : `"${Printable.line(text)}"`
