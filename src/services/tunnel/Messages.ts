// The words of a tunnel: TUNNEL.md section 2.

/** CONTROL bodies of one byte; `refused` and those behind it say why there is no connection to the target. */
export const words = {
  offered: 0x10,
  go: 0x11,
  connected: 0x12,
  refused: 0x20,
  unreachable: 0x21,
  timeout: 0x22,
  failed: 0x23
} as const
export type Word = keyof typeof words

/** Why the far side did not reach its target. */
export type Reason = "refused" | "unreachable" | "timeout" | "failed"

export const encode = (word: Word): Uint8Array => Uint8Array.of(words[word])

/** Undefined for what is no word. */
export const decode = (body: Uint8Array): Word | undefined => (body.length === 1 ? byByte.get(body[0] as number) : undefined)

const byByte: ReadonlyMap<number, Word> = new Map(Object.entries(words).map(([word, byte]) => [byte, word as Word]))

export const isReason = (word: Word | undefined): word is Reason => word !== undefined && words[word] >= words.refused
