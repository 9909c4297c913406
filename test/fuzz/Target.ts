/**
 * A part of the program that reads bytes of somebody else. Its property: for every input it gives a
 * typed error or a value, and what `run` checks of the value holds.
 */
export interface Target {
  /** Length of the longest input that the fuzzer makes, in bytes. */
  readonly maxBytes: number
  /** Valid inputs to begin with. */
  readonly seeds: () => ReadonlyArray<Uint8Array>
  /** Tokens that random changes would hardly ever produce. */
  readonly words?: ReadonlyArray<string | Uint8Array>
  /**
   * Runs one input and returns its outcome: a text from a small set, such as the error without its
   * numbers. Throws when the property does not hold.
   */
  readonly run: (input: Buffer) => string | Promise<string>
}

/** Fails the property of a target. */
export const check = (holds: boolean, detail: string): void => {
  if (!holds) throw new Error(`property violated: ${detail}`)
}

/** Fails unless both are the same bytes. */
export const checkSame = (actual: Uint8Array, expected: Uint8Array, detail: string): void =>
  check(Buffer.compare(actual, expected) === 0, detail)

/** Makes an outcome of an error message: without quoted parts of the input and without numbers. */
export const outcomeOf = (message: string): string =>
  message
    .replace(/"[^"]*"/g, '"…"')
    .replace(/\d+/g, "0")
    .slice(0, 120)
