const most = 64

/** What a name may be (some letters have no ink: those make two names look like one): it stands in logs, in files and in environments. */
const namePattern = /^(?!.*\p{Default_Ignorable_Code_Point})[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u

export const isName = (text: string): boolean => namePattern.test(text)

export const expected = `letters, digits, and . _ @ -, ${most} at most, the first a letter or a digit`

/** A name made of a text, an address or a host's name: what no name may hold becomes -. */
export const of = (text: string, otherwise: string): string => {
  const name = text
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .replace(/[^\p{L}\p{N}._@-]+/gu, "-")
    .replace(/^[^\p{L}\p{N}]+/u, "")
    .slice(0, most)
  return isName(name) ? name : otherwise
}

/** The name, with the first of -2, -3 … behind it that makes it new when others have it. */
export const free = (name: string, peers: ReadonlyArray<{ readonly name: string }>): string => {
  const taken = new Set(peers.map((peer) => peer.name))
  let free = name
  for (let count = 2; taken.has(free); count++)
    free = `${name.slice(0, most - `-${count}`.length)}-${count}`
  return free
}
