// Bits as words that people can read aloud: 11 bits a word, from the English list of BIP 39.
import { createHash } from "node:crypto"
import * as Hex from "./Hex.ts"

const bitsPerWord = 11

/** In the list no two words begin with the same four letters, so the rest of a word need not be right. */
const telling = 4

interface List {
  readonly words: ReadonlyArray<string>
  /** By the first letters of a word, its place. */
  readonly places: ReadonlyMap<string, number>
}

let list: Promise<List> | undefined

/** Loaded when it is first used: few commands need it. */
const loaded = (): Promise<List> =>
  (list ??= import("@scure/bip39/wordlists/english.js").then(({ wordlist }) => ({
    words: wordlist,
    places: new Map(wordlist.map((word, place) => [word.slice(0, telling), place]))
  })))

/** The first `count` * 11 bits of the bytes, the highest first. Throws a RangeError when there are not as many. */
export const encode = async (bytes: Uint8Array, count: number): Promise<ReadonlyArray<string>> => {
  const unused = bytes.length * 8 - count * bitsPerWord
  if (unused < 0) throw new RangeError(`${bytes.length} bytes are not ${count} words`)
  const { words } = await loaded()
  const bits = numberOf(bytes) >> BigInt(unused)
  return Array.from({ length: count }, (_, index) => {
    const place = (bits >> BigInt((count - 1 - index) * bitsPerWord)) & 2047n
    return words[Number(place)] ?? ""
  })
}

/** The bits of the words, the last byte filled up with zeros; undefined when one is not in the list. Four letters of each are enough. */
export const decode = async (words: ReadonlyArray<string>): Promise<Uint8Array | undefined> => {
  const { places } = await loaded()
  let bits = 0n
  for (const word of words) {
    const found = places.get(word.trim().toLowerCase().slice(0, telling))
    if (found === undefined) return undefined
    bits = (bits << BigInt(bitsPerWord)) | BigInt(found)
  }
  const length = Math.ceil((words.length * bitsPerWord) / 8)
  const filled = bits << BigInt(length * 8 - words.length * bitsPerWord)
  return length === 0 ? new Uint8Array() : Hex.decode(filled.toString(16).padStart(length * 2, "0"))
}

const codeBytes = 16
const codeWords = 12

/** 128 bits as 12 words, the last of which holds a checksum of 4 bits: a BIP 39 mnemonic. */
export const encodeCode = (code: Uint8Array): Promise<ReadonlyArray<string>> =>
  encode(Buffer.concat([code.subarray(0, codeBytes), Buffer.from([checksum(code)])]), codeWords)

/** The 16 bytes of the 12 words; undefined when a word or the checksum is wrong (1 in 16 wrong words passes). */
export const decodeCode = async (words: ReadonlyArray<string>): Promise<Uint8Array | undefined> => {
  const bytes = words.length === codeWords ? await decode(words) : undefined
  const code = bytes?.subarray(0, codeBytes)
  return code !== undefined && bytes?.[codeBytes] === checksum(code) ? code : undefined
}

/** The high four bits of a byte: those of the SHA-256. */
const checksum = (code: Uint8Array): number =>
  (createHash("sha256").update(code).digest()[0] ?? 0) & 0xf0

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x0${Hex.encode(bytes)}`)
