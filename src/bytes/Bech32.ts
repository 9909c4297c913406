import { bech32 } from "@scure/base"

/**
 * Encodes Bech32 (BIP 173): a prefix, `1`, the bytes in base 32, and a checksum of six characters
 * that detects any four wrong characters within 90, and any single one within 1,023. An upper-case
 * prefix gives upper-case text, which age and Sealwire use for secrets.
 */
export const encode = (prefix: string, bytes: Uint8Array): string => {
  const text = bech32.encode(prefix.toLowerCase(), bech32.toWords(bytes), false)
  return prefix === prefix.toUpperCase() ? text.toUpperCase() : text
}

/**
 * Decodes Bech32 and returns the prefix in lower case and the bytes; undefined when a character or
 * the checksum is wrong. The caller limits the length.
 */
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
