// One-time codes that users type: 128 bits in Crockford's base 32, and two check characters.
import { base32crockford } from "@scure/base"
import { Secret } from "./Secret.ts"

/** Length in bytes: too long to be guessed, or to be found offline from recorded traffic. */
export const length = 16

/** 16 bytes in characters of 5 bits each; the last two bits are zero. */
const dataCharacters = 26
const checkCharacters = 2

/** Encodes a code as seven groups of four characters: `7ZQX-…`. */
export const encode = (code: Secret): string => {
  const data = base32crockford.encode(code.expose())
  return (data + checkOf(data)).match(/.{4}/g)?.join("-") ?? ""
}

/**
 * Decodes a code; undefined when it is mistyped. Accepts lower case, blanks and dashes anywhere, O
 * for 0, and I or L for 1. One wrong character or two swapped neighbours are always detected; of
 * other mistakes, 1 in 1,024 passes.
 */
export const decode = (text: string): Secret | undefined => {
  const characters = text
    .replace(/[\s\u2010-\u2015-]/g, "")
    .toUpperCase()
    .replaceAll("O", "0")
    .replace(/[IL]/g, "1")
  const data = characters.slice(0, dataCharacters)
  if (
    characters.length !== dataCharacters + checkCharacters ||
    checkOf(data) !== characters.slice(dataCharacters)
  )
    return undefined
  try {
    return new Secret(base32crockford.decode(data))
  } catch {
    return undefined
  }
}

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/**
 * x^10 + x^9 + x^5 + x^4 + x + 1, the CRC-10 of ITU-T I.610. It detects every burst error of up to
 * ten bits, two characters.
 */
const polynomial = 0x633

/** Computes the check characters from the text, so that they reveal nothing more about the code. */
const checkOf = (data: string): string => {
  let remainder = 0
  for (const character of data) {
    remainder ^= alphabet.indexOf(character) << 5
    for (let bit = 0; bit < 5; bit++)
      remainder = (remainder << 1) ^ (remainder & 0x200 ? polynomial : 0)
  }
  return alphabet.charAt((remainder >> 5) & 31) + alphabet.charAt(remainder & 31)
}

/** True for text that may be a mistyped code. Do not repeat such text in output: it is a secret. */
export const looksLike = (text: string): boolean =>
  /^[0-9A-Za-z]{22,34}$/.test(text.replace(/[\s-]/g, ""))
