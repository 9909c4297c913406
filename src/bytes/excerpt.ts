import * as Printable from "./Printable.ts"

/** Longer than any option's name or service, and shorter than a secret key in any of its forms. */
const most = 40

/** What stands in a file, for an error: quoted and escaped. What is longer may be a secret that went astray, and is not repeated. */
export const excerpt = (text: string): string =>
  text.length > most ? "this" : `"${Printable.line(text)}"`
