import { mayBeKey } from "../bytes/mayBeSecret.ts"

const maxLength = 64

/**
 * Names appear in logs, files and environment variables. Invisible code points are excluded: they
 * make two names look the same.
 */
const namePattern = /^(?!.*\p{Default_Ignorable_Code_Point})[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u

/**
 * Returns whether a text is a valid name. What may be a key is no name: names
 * are logged.
 */
export const isName = (text: string): boolean => namePattern.test(text) && !mayBeKey(text)

/** Describes a valid name, for errors. */
export const expected = `letters, digits, and . _ @ -, at most ${maxLength}, the first a letter or a digit`

/** Makes a name from a text, such as an address or a host name: other characters become -. */
export const of = (text: string, otherwise: string): string => {
  const valid = text
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .replace(/[^\p{L}\p{N}._@-]+/gu, "-")
    .replace(/^[^\p{L}\p{N}]+/u, "")
  const name = cut(valid, maxLength)
  return isName(name) ? name : otherwise
}

/**
 * Makes a name unique among peers: appends -2, -3 … if it is taken. A number may complete what
 * looks like a key, which is no name.
 */
export const free = (name: string, peers: ReadonlyArray<{ readonly name: string }>): string => {
  const taken = new Set(peers.map((peer) => peer.name))
  let free = name
  for (let count = 2; taken.has(free); count++) {
    const numbered = `${cut(name, maxLength - `-${count}`.length)}-${count}`
    free = isName(numbered) ? numbered : `peer-${count}`
  }
  return free
}

/** The first characters of a text. `slice` would halve a character outside the BMP. */
const cut = (text: string, length: number): string => [...text].slice(0, length).join("")
