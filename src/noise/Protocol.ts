import { patterns, withPsks, type Pattern } from "./Pattern.ts"

/** The DH, cipher and hash functions that this implementation supports. Section 12. */
export const algorithms = "25519_AESGCM_SHA256"

/** A Noise protocol; its name is for example `Noise_XXpsk3_25519_AESGCM_SHA256`. Section 8. */
export interface Protocol {
  readonly name: string
  readonly pattern: Pattern
  /** The number of pre-shared keys. */
  readonly psks: number
}

/**
 * Parses a protocol name. Returns undefined when pattern, modifiers or algorithms are not
 * supported.
 */
export const parseProtocol = (name: string): Protocol | undefined => {
  const match = /^Noise_([A-Z]1?(?:[A-Z]1?)?)((?:psk\d+)(?:\+psk\d+)*)?_(.+)$/.exec(name)
  const base = patterns.get(match?.[1] ?? "")
  if (base === undefined || match?.[3] !== algorithms) return undefined
  const positions = [...(match[2] ?? "").matchAll(/psk(\d+)/g)].map(([, position]) =>
    Number(position)
  )
  const pattern = withPsks(base, positions)
  return pattern === undefined ? undefined : { name, pattern, psks: positions.length }
}

/**
 * Returns the protocol of a pattern: `fromPattern("XXpsk3")` is `Noise_XXpsk3_25519_AESGCM_SHA256`.
 * Throws for an unknown pattern, because the pattern is a constant of the program.
 */
export const fromPattern = (pattern: string): Protocol => {
  const found = parseProtocol(`Noise_${pattern}_${algorithms}`)
  if (found === undefined) throw new TypeError(`unknown Noise pattern ${pattern}`)
  return found
}
