// The forms in which a message repeats text that it was given: escaped, and never a secret.
import { mayBeKey, mayBeSecret } from "./mayBeSecret.ts"
import * as Printable from "./Printable.ts"

/** Longer than any option or service name, and shorter than a secret key in any text form. */
const maxLength = 40

/** Stands for text that may be a secret. */
export const placeholder = (text: string): string =>
  `(${text.length} characters that may be a key; not repeated)`

/** Repeats a path, an address or a reference. */
export const shown = (text: string): string =>
  mayBeSecret(text) ? placeholder(text) : Printable.line(text)

/** Repeats a sentence of another program. Its words are not those of a passphrase. */
export const prose = (text: string): string =>
  mayBeKey(text) ? placeholder(text) : Printable.line(text)

/** Repeats a word in quotes. */
export const quoted = (text: string): string =>
  mayBeSecret(text) ? placeholder(text) : `"${Printable.line(text)}"`

/** Quotes a short word from a file; a long one may be a secret of another form and is omitted. */
export const excerpt = (text: string): string =>
  text.length > maxLength && !mayBeSecret(text) ? "this" : quoted(text)
