// Removes from the output of a command what may be a secret in its input: errors repeat paths, names
// and references in many forms, in part and in whole. Messages use bytes/excerpt.ts first, which
// knows where a text begins and ends; this is the last line of defence.
import { placeholder } from "../../bytes/excerpt.ts"
import { mayBeSecret } from "../../bytes/mayBeSecret.ts"
import * as InlineKey from "../../keys/InlineKey.ts"

/** Shorter pieces are left: ordinary words have them too. */
const pieceLength = 8

/** The part of a key's text form that every key has. */
const publicParts = /-----[A-Z ]+-----|(?:SEALWIRE|AGE)-[A-Z-]*1/gi

/**
 * Removes possible secrets in the input of one command from its output. Letters are compared without
 * case: addresses and public keys are repeated in lower case.
 */
export class Redaction {
  /** Each piece, with the text that it is from. */
  readonly #pieces = new Map<string, string>()
  #hasArgument = false

  /** Remembers the command line. */
  addArguments(args: ReadonlyArray<string>): void {
    this.#hasArgument = args.map((word) => this.add(word)).includes(true)
  }

  /** True if an argument may be a secret: other users could see it. */
  get hasArgument(): boolean {
    return this.#hasArgument
  }

  /** Remembers a text of the input if it may be a secret; returns whether it is one. */
  add(text: string): boolean {
    const value = /^--[a-z-]+=/.test(text) ? text.slice(text.indexOf("=") + 1) : text
    if (!mayBeSecret(value)) return false
    for (const part of value.split(publicParts))
      for (let start = 0; start + pieceLength <= part.length; start++)
        this.#pieces.set(comparable(part.slice(start, start + pieceLength)), value)
    return true
  }

  /** Replaces every piece of a remembered text, and every key of Sealwire. */
  readonly apply = (text: string): string => InlineKey.redact(this.#withoutPieces(text))

  /** Applies it to every string of a JSON value but the content of messages, which is data. */
  readonly applyToFields = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        name === "text" || name === "base64" || name === "code" ? value : this.#applyTo(value)
      ])
    )

  /** As `apply`, but leaves keys of Sealwire alone: some commands print them. */
  readonly applyToOutput = (text: string): string => this.#withoutPieces(text)

  #applyTo(value: unknown): unknown {
    if (typeof value === "string") return this.#withoutPieces(value)
    if (Array.isArray(value)) return value.map((each) => this.#applyTo(each))
    return typeof value === "object" && value !== null
      ? this.applyToFields(value as Readonly<Record<string, unknown>>)
      : value
  }

  #withoutPieces(text: string): string {
    if (this.#pieces.size === 0) return text
    const compared = comparable(text)
    let [result, at] = ["", 0]
    while (at < text.length) {
      const source = this.#pieces.get(compared.slice(at, at + pieceLength))
      if (source === undefined) {
        result += text[at++] ?? ""
        continue
      }
      let end = at + pieceLength
      while (this.#pieces.has(compared.slice(end - pieceLength + 1, end + 1))) end++
      const shown = placeholder(source)
      // The parts of one text between line ends get one placeholder.
      if (!result.trimEnd().endsWith(shown)) result += shown
      at = end
    }
    return result
  }
}

/** The text in lower case, with the same length: only ASCII letters change. */
const comparable = (text: string): string =>
  text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
