// Bits as words to be read aloud: 11 bits per word, from the English list of BIP 39.
import { createHash } from "node:crypto"
import * as Hex from "./Hex.ts"

const bitsPerWord = 11

/** No two words of the list share their first four letters, so only these are compared. */
const significantLetters = 4

interface WordList {
  readonly words: ReadonlyArray<string>
  /** The index of each word, by its significant letters. */
  readonly indices: ReadonlyMap<string, number>
}

let list: Promise<WordList> | undefined

/** Loads the list on first use: few commands need it. */
const loadList = (): Promise<WordList> =>
  (list ??= import("@scure/bip39/wordlists/english.js").then(({ wordlist }) => ({
    words: wordlist,
    indices: new Map(wordlist.map((word, index) => [word.slice(0, significantLetters), index]))
  })))

/**
 * Encodes the first `count` * 11 bits of the bytes, most significant first. Throws a RangeError
 * when there are fewer.
 */
export const encode = async (bytes: Uint8Array, count: number): Promise<ReadonlyArray<string>> => {
  const unused = bytes.length * 8 - count * bitsPerWord
  if (unused < 0) throw new RangeError(`${bytes.length} bytes are not ${count} words`)
  const { words } = await loadList()
  const bits = numberOf(bytes) >> BigInt(unused)
  return Array.from({ length: count }, (_, index) => {
    const wordIndex = (bits >> BigInt((count - 1 - index) * bitsPerWord)) & 2047n
    return words[Number(wordIndex)] ?? ""
  })
}

/**
 * Decodes words to bytes, the last one padded with zero bits; undefined when a word is not in the
 * list. The first four letters of each word are enough.
 */
export const decode = async (words: ReadonlyArray<string>): Promise<Uint8Array | undefined> => {
  const { indices } = await loadList()
  let bits = 0n
  for (const word of words) {
    const wordIndex = indices.get(word.trim().toLowerCase().slice(0, significantLetters))
    if (wordIndex === undefined) return undefined
    bits = (bits << BigInt(bitsPerWord)) | BigInt(wordIndex)
  }
  const length = Math.ceil((words.length * bitsPerWord) / 8)
  const padded = bits << BigInt(length * 8 - words.length * bitsPerWord)
  return length === 0 ? new Uint8Array() : Hex.decode(padded.toString(16).padStart(length * 2, "0"))
}

const codeBytes = 16
const codeWords = 12

/** Encodes 16 bytes as a BIP 39 mnemonic: 12 words, the last with a checksum of 4 bits. */
export const encodeCode = (code: Uint8Array): Promise<ReadonlyArray<string>> =>
  encode(Buffer.concat([code.subarray(0, codeBytes), Buffer.from([checksum(code)])]), codeWords)

/**
 * Decodes the 16 bytes of 12 words; undefined when a word or the checksum is wrong (1 in 16 wrong
 * words passes).
 */
export const decodeCode = async (words: ReadonlyArray<string>): Promise<Uint8Array | undefined> => {
  const bytes = words.length === codeWords ? await decode(words) : undefined
  const code = bytes?.subarray(0, codeBytes)
  return code !== undefined && bytes?.[codeBytes] === checksum(code) ? code : undefined
}

/** Returns the first four bits of the SHA-256, in the high half of a byte. */
const checksum = (code: Uint8Array): number =>
  (createHash("sha256").update(code).digest()[0] ?? 0) & 0xf0

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x0${Hex.encode(bytes)}`)
