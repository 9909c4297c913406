import { bech32 } from "@scure/base"

/**
 * Bech32 (BIP 173): a prefix, `1`, the bytes in base 32, a checksum of six characters that catches any
 * four wrong ones within 90 characters, and any single one within 1,023. An upper-case prefix gives upper-case text (for secrets, as age does).
 */
export const encode = (prefix: string, bytes: Uint8Array): string => {
  const text = bech32.encode(prefix.toLowerCase(), bech32.toWords(bytes), false)
  return prefix === prefix.toUpperCase() ? text.toUpperCase() : text
}

/** The prefix (lower case) and the bytes, or undefined when the checksum or a character is wrong. The caller limits the length. */
export const decode = (
  text: string
): { readonly prefix: string; readonly bytes: Uint8Array } | undefined => {
  try {
    const { prefix, bytes } = bech32.decodeToBytes(text, false)
    return { prefix, bytes }
  } catch {
    return undefined
  }
}
