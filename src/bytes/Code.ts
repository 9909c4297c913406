// A code of one use as people type it: 128 bits in Crockford's base 32, and two characters that catch a slip of the finger.
import { base32crockford } from "@scure/base"
import { Secret } from "./Secret.ts"

/** How many bytes a code has: nobody guesses it, and nobody finds it afterwards from what was recorded. */
export const length = 16

/** 16 bytes in characters of 5 bits; the last two bits are zero. */
const dataCharacters = 26
const checkCharacters = 2

/** `7ZQX-…`: seven groups of four characters. */
export const encode = (code: Secret): string => {
  const data = base32crockford.encode(code.expose())
  return (data + checkOf(data)).match(/.{4}/g)?.join("-") ?? ""
}

/**
 * The code, or undefined when a character is missing, wrong, or out of place. Small letters, blanks and dashes anywhere are fine, and O
 * is 0, I and L are 1. One wrong character, and two neighbours that changed places, are always noticed; else 1 in 1,024 passes.
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

/** x^10 + x^9 + x^5 + x^4 + x + 1, the CRC-10 of ITU-T I.610: every error within ten bits in a row, two characters, is caught. */
const polynomial = 0x633

/** Over the characters, so that it is no more than they are. */
const checkOf = (data: string): string => {
  let rest = 0
  for (const character of data) {
    rest ^= alphabet.indexOf(character) << 5
    for (let bit = 0; bit < 5; bit++) rest = (rest << 1) ^ (rest & 0x200 ? polynomial : 0)
  }
  return alphabet.charAt((rest >> 5) & 31) + alphabet.charAt(rest & 31)
}

/** True for what somebody may have meant as a code, slips and all. It is not to be repeated. */
export const looksLike = (text: string): boolean =>
  /^[0-9A-Za-z]{22,34}$/.test(text.replace(/[\s-]/g, ""))
