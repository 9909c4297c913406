// Recognises text that may be a secret, so that no message repeats it: a user may give a key where
// a name, a path or a public key belongs. It errs on the side of silence, but must let ordinary
// paths, host names, identifiers and public keys pass.

import * as Code from "./Code.ts"

/** Text that is public by its form: public keys in bech32, fingerprints. */
const publicForms =
  /\b(?:sealwire|age|npub)1[02-9ac-hj-np-z]{38,70}\b|\bSHA256:[A-Za-z0-9+/]{43}\b|\bMD5:(?:[\da-f]{2}:){15}[\da-f]{2}\b/gi

type Rule = (text: string) => boolean

const matches =
  (pattern: RegExp): Rule =>
  (text) =>
    pattern.test(text)

const classOf = (character: string): string =>
  /[a-z]/.test(character)
    ? "lower"
    : /[A-Z]/.test(character)
      ? "upper"
      : /\d/.test(character)
        ? "digit"
        : "other"

/**
 * The share of neighbouring letters and digits that differ in class. Random base64 has 0.63 and
 * random base32 0.43; words have little, even in camel case. The capital of a word is no change.
 */
const mixture = (text: string): number => {
  let [pairs, changes, before, beforeThat] = [0, 0, "other", "other"]
  for (const character of text) {
    const now = classOf(character)
    if (now !== "other" && before !== "other") {
      pairs++
      const isCapital = before === "upper" && now === "lower" && beforeThat === "other"
      if (now !== before && !isCapital) changes++
    }
    beforeThat = before
    before = now
  }
  return pairs === 0 ? 0 : changes / pairs
}

const runsOf = (text: string, pattern: RegExp): ReadonlyArray<string> => text.match(pattern) ?? []

/** Lengths of 32 bytes in base64, without padding, and of a line of PEM. */
const exactLengths: ReadonlyArray<number> = [43, 64]

/** The least mixture of text with one of these lengths: 1 of 100,000 random keys has less. */
const exactLimit = 0.25

/**
 * Base64 or base64url: of 32 bytes, a line of PEM, or longer. As base64 contains `/`, the text may
 * be the end or the beginning of what looks like a path, or a name in it.
 */
const isBase64: Rule = (text) =>
  runsOf(text, /[A-Za-z0-9+/_-]{32,}={0,2}/g).some((run) => {
    const whole = run.replace(/=+$/, "")
    const isMixed = (part: string, limit: number) =>
      /[a-z]/.test(part) && /[A-Z]/.test(part) && mixture(part) >= limit
    const isExact = (part: string) => exactLengths.includes(part.length)
    return (
      isMixed(whole, isExact(whole) || whole !== run ? exactLimit : 0.42) ||
      whole.split("/").some((name) => isExact(name) && isMixed(name, exactLimit)) ||
      exactLengths.some(
        (length) =>
          whole.length > length &&
          (isMixed(whole.slice(-length), whole === run ? 0.38 : exactLimit) ||
            isMixed(whole.slice(0, length), 0.38))
      )
    )
  })

/**
 * Base64 in lines: the ends of the lines are no part of it. A match begins where a run begins: with
 * every character as a beginning the time would grow with the square of the length.
 */
const isWrappedBase64: Rule = (text) =>
  runsOf(
    text,
    /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}(?:\r?\n[A-Za-z0-9+/_-]{1,76})+={0,2}/g
  ).some((run) => isBase64(run.replace(/\r?\n/g, "")))

/**
 * Base64 of 16, 24 or 33 bytes, which is shorter or has another length than a key of Sealwire: with
 * a digit, as words in camel case rarely have one. Without padding the last character of 16 bytes
 * has four zero bits.
 */
const isOtherBase64: Rule = (text) =>
  /[A-Za-z0-9+/_-]{21}[AQgw]==(?![A-Za-z0-9=])/.test(text) ||
  [...runsOf(text, /[A-Za-z0-9_-]{22,}/g), ...runsOf(text, /[A-Za-z0-9+/]{22,}/g)]
    .map((run) => run.replace(/^\//, ""))
    .some(
      (run) =>
        otherLengths.some(
          ([length, ends, limit]) =>
            run.length === length && ends.test(run) && mixture(run) >= limit
        ) &&
        /[a-z]/.test(run) &&
        /[A-Z]/.test(run) &&
        /\d/.test(run)
    )

/** The length, its last character, and the least mixture. */
const otherLengths: ReadonlyArray<readonly [length: number, ends: RegExp, limit: number]> = [
  [22, /[AQgw]$/, 0.42],
  [32, /$/, 0.36],
  [44, /$/, 0.36]
]

/** Z85 of 32 bytes: no other text has as many kinds of punctuation between letters. */
const isZ85: Rule = (text) =>
  runsOf(text, /[\w.:+=^!/*?&<>()[\]{}@%$#-]{40,}/g)
    .flatMap((run) => [run.slice(0, 40), run.slice(-40)])
    .some((part) => {
      // An escape in a URL is no punctuation.
      const marks = part.replace(/%[\dA-F]{2}/g, "x").match(/[\^!*?&<>()[\]{}@%$#]/g) ?? []
      return (
        marks.length >= 3 &&
        new Set(marks).size >= 3 &&
        /[a-z]/.test(part) &&
        /[A-Z]/.test(part) &&
        /\d/.test(part) &&
        changesOf(part) >= 0.5
      )
    })

/** The share of characters that differ in class from the one before. */
const changesOf = (text: string): number => {
  const classes = Array.from(text, classOf)
  const changes = classes.filter((each, index) => index > 0 && each !== classes[index - 1])
  return changes.length / text.length
}

/** The separators of groups. */
const separators: ReadonlyArray<RegExp> = [/-/, /:/, /_/, /,\s*/, /\s+/, /(?=\\x)/]

/**
 * Hexadecimal of 16 bytes or more in groups of one length with one separator. A UUID has groups of
 * several lengths; an IPv6 address is eight groups of four with colons.
 */
const isGroupedHex: Rule = (text) => separators.some((separator) => hasGroups(text, separator))

const hasGroups = (text: string, separator: RegExp): boolean => {
  let [digits, size] = ["", 0]
  for (const part of text.split(separator)) {
    // Other text may stand before the first group and after the last.
    const [, start = ""] = /^(?:0x|\\x)?([\da-f]{2,32})(?![\da-z])/i.exec(part) ?? []
    if (start !== "" && start.length === size) {
      digits += start
      const least = size === 4 && separator.test(":") ? 48 : 32
      if (digits.length >= least && isHexOfBytes(digits)) return true
    }
    const [, end = ""] = /(?<![\da-z])(?:0x|\\x)?([\da-f]{2,32})$/i.exec(part) ?? []
    const isWhole = start.length === size && /^(?:0x|\\x)?[\da-f]+$/i.test(part)
    if (!isWhole) [digits, size] = [end, end.length]
  }
  return false
}

/** Sixteen random bytes have a letter and a digit; lists of numbers and words do not. */
const isHexOfBytes = (digits: string): boolean => /[a-f]/i.test(digits) && /\d/.test(digits)

/** A code for pairing without its dashes, in any case and with a character more or less. */
const isCode: Rule = (text) =>
  runsOf(text, /[A-Za-z0-9]+/g).some(
    (run) =>
      Code.decode(run) !== undefined ||
      (run.length >= 26 &&
        run.length <= 30 &&
        (run.match(/\d/g)?.length ?? 0) >= 3 &&
        /[g-z]/i.test(run) &&
        mixture(run) >= 0.2)
  )

/** Words as passphrases have them, and nothing else. */
const isWords: Rule = (text) => {
  const words = text.trim().split(/[\s,;]+/)
  const isWordOf = (letters: RegExp) => words.every((word) => letters.test(word))
  if (words.length >= 4 && isWordOf(/^[a-z]{3,9}$/)) return true
  return ["-", "_", "."].some((separator) => {
    const joined = text.trim().split(separator)
    return joined.length >= 6 && joined.every((word) => /^[a-z]{3,9}$/.test(word))
  })
}

/** The punctuation that passwords have and paths rarely. */
const punctuation = /[!#$%^&*?|<>{}]/

/** A password as managers make them; another one cannot be told from a name. */
const isPassword: Rule = (text) =>
  runsOf(text, /[^\s/=:]{12,64}/g).some((run) => {
    if (!punctuation.test(run) || !/[a-z]/.test(run) || !/[A-Z]/.test(run) || !/\d/.test(run))
      return false
    return changesOf(run) >= 0.35
  })

/** A part of the text after a scheme, a name or the beginning of a path, for rules of a whole. */
const parts = (text: string): ReadonlyArray<string> =>
  text.startsWith("exec:")
    ? []
    : [text, ...Array.from(text.matchAll(/^-+|[=:/]/g), (match) => afterOf(text, match))]

const afterOf = (text: string, { index, 0: separator }: RegExpMatchArray): string =>
  text.slice((index ?? 0) + separator.length)

const keyRules: ReadonlyArray<Rule> = [
  // PEM: PKCS #8, OpenSSH, encrypted; the words of a PEM that a shell has split.
  matches(/-----\s*BEGIN|BEGIN [A-Z ]*PRIVATE|PRIVATE KEY-----|-----END/),
  // Bech32: keys of Sealwire and age, even truncated; any other in full, unless it is hexadecimal.
  matches(/(?:sealwire-[a-z-]*|age-secret-key-[a-z-]*)1[02-9ac-hj-np-z]{6}/i),
  matches(
    /[A-Z][A-Z0-9-]*1(?![\dA-F]{30})[02-9AC-HJ-NP-Z]{30}|\b[a-z][a-z-]*1(?![\da-f]{38})[02-9ac-hj-np-z]{38}/
  ),
  // Hexadecimal without separators.
  matches(/[0-9a-fA-F]{48}/),
  // A key or an initialization vector for openssl enc.
  matches(/(?:^|\s)-(?:K|iv)[\s=]+["']?[0-9a-fA-F]{16}/),
  // Base32 of 32 bytes: no word is as long.
  matches(/(?<![A-Za-z0-9])(?:[A-Z2-7]{52}|[a-z2-7]{52})(?![A-Za-z0-9])/),
  // A mnemonic: the words of BIP 39 have three to eight letters.
  matches(/(?:\b[a-z]{3,8}[\s,]+){11}[a-z]{3,8}\b/i),
  // With another separator, or numbered.
  matches(/(?<![a-z])[a-z]{3,8}([-_.:;|+])\s?(?:[a-z]{3,8}\1\s?){10}[a-z]{3,8}(?![a-z])/i),
  matches(/(?:(?<!\d)\d{1,2}[\s.:)=-]+[a-z]{3,8}[\s,;]*){12}/i),
  // JWK.
  matches(/["']?\b(?:kty|d|k)\b["']?\s*:\s*["'][A-Za-z0-9_-]+["']/),
  // A code for pairing, in groups; with a character more or less.
  matches(/(?:^|[^0-9A-Za-z])(?:[0-9A-Za-z]{4}[-\s]){6}[0-9A-Za-z]{4}(?![0-9A-Za-z])/),
  (text) =>
    /(?:^|[=:/\s])(?:[0-9A-Za-z]{3,5}[-\s]){5,}[0-9A-Za-z]{3,5}(?=\s|$)/.test(text) &&
    (text.match(/\d/g)?.length ?? 0) >= 6,
  // A URL with a password.
  matches(/:\/\/[^/\s:@]*:[^@\s/]+@/),
  isBase64,
  isWrappedBase64,
  isOtherBase64,
  isGroupedHex,
  isZ85,
  isCode
]

/** Words before a port. With dots between them they are the name of a host. */
const isWordsWithPort: Rule = (text) => {
  const [, words = ""] = /^([^.]+):\d{1,5}$/.exec(text) ?? []
  return words !== "" && parts(words).some(isWords)
}

const passphraseRules: ReadonlyArray<Rule> = [
  isPassword,
  (text) => parts(text).some(isWords),
  isWordsWithPort
]

/** Characters that are examined: no key, path or address is longer, and some rules take long. */
const examined = 8192

const satisfies = (text: string, rules: ReadonlyArray<Rule>): boolean => {
  const rest = text.slice(0, examined).replace(publicForms, " ")
  return rules.some((rule) => rule(rest))
}

/** Returns true for a text that is or contains what may be a key or a code for pairing. */
export const mayBeKey = (text: string): boolean => satisfies(text, keyRules)

/** Returns true for a text that is or contains what may be a key, a code or a passphrase. */
export const mayBeSecret = (text: string): boolean =>
  satisfies(text, [...keyRules, ...passphraseRules])
