import { protocolLimits } from "./limits.ts"

/**
 * A padding policy for record plaintexts, to hide their lengths. Only the sender needs it; the
 * receiver ignores the padding. PROTOCOL.md section 7.
 */
export type Padding =
  | { readonly _tag: "None" }
  | { readonly _tag: "Block"; readonly bytes: number }
  | { readonly _tag: "Padme" }

/** No padding. */
export const none: Padding = { _tag: "None" }

/**
 * Parses `none`, `block:N` (N from 1 to 65,519) or `padme`; returns undefined for anything else.
 */
export const parse = (text: string): Padding | undefined => {
  if (text === "none") return none
  if (text === "padme") return { _tag: "Padme" }
  const bytes = Number(/^block:(\d+)$/.exec(text)?.[1] ?? 0)
  return bytes >= 1 && bytes <= protocolLimits.recordBytes ? { _tag: "Block", bytes } : undefined
}

/** Returns the padded length: at least `length`, at most the length of a full record. */
export const paddedLength = (padding: Padding, length: number): number => {
  switch (padding._tag) {
    case "None":
      return length
    case "Block":
      return Math.min(Math.ceil(length / padding.bytes) * padding.bytes, protocolLimits.recordBytes)
    case "Padme":
      return Math.min(padme(length), protocolLimits.recordBytes)
  }
}

/**
 * Padmé (Nikitin et al., PETS 2019): at most 12 % overhead; leaks O(log log L) bits of a length L.
 */
const padme = (length: number): number => {
  if (length < 2) return length
  const exponent = 31 - Math.clz32(length)
  const mantissa = 32 - Math.clz32(exponent)
  const mask = 2 ** Math.max(exponent - mantissa, 0) - 1
  return (length + mask) & ~mask
}
