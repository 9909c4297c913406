import { patterns, withPsks, type Pattern } from "./Pattern.ts"

/** The only algorithms here. Section 12. */
export const algorithms = "25519_AESGCM_SHA256"

/** A protocol by its name, section 8: `Noise_XXpsk3_25519_AESGCM_SHA256`. */
export interface Protocol {
  readonly name: string
  readonly pattern: Pattern
  /** How many pre-shared keys it takes. */
  readonly psks: number
}

/** The protocol, or undefined when its pattern, modifiers or algorithms are not known here. */
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

/** `pattern("XXpsk3")` is `Noise_XXpsk3_25519_AESGCM_SHA256`; for names written in this code base, so a wrong one is a bug. */
export const fromPattern = (pattern: string): Protocol => {
  const found = parseProtocol(`Noise_${pattern}_${algorithms}`)
  if (found === undefined) throw new TypeError(`there is no Noise pattern ${pattern}`)
  return found
}
