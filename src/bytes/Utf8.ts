// Text and its UTF-8 bytes without loss. Node and Buffer replace what is invalid by U+FFFD, so that
// different bytes become one text; here they are refused. A byte order mark is kept as U+FEFF.

const options = { fatal: true, ignoreBOM: true } as const
const decoder = new TextDecoder("utf-8", options)

/** Decodes UTF-8; undefined when the bytes are not valid. */
export const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** A decoder for a stream; its `decode` throws a TypeError for invalid bytes. */
export const streamDecoder = (): InstanceType<typeof TextDecoder> =>
  new TextDecoder("utf-8", options)

/** Half of a surrogate pair, which UTF-8 cannot encode. Windows and JSON have such text. */
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/** Returns false for a text that UTF-8 cannot encode. */
export const isWellFormed = (text: string): boolean => !loneSurrogate.test(text)

/** Encodes a text; throws a RangeError for one that UTF-8 cannot encode. */
export const encode = (text: string): Buffer => {
  if (!isWellFormed(text)) throw new RangeError("the text contains half of a surrogate pair")
  return Buffer.from(text)
}

/** The character that decoders without `fatal` put in the place of invalid bytes. */
export const replacement = "\ufffd"

/** The place of the first invalid byte. */
export interface Fault {
  /** Number of bytes before it. */
  readonly offset: number
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 code units. */
  readonly column: number
}

/** Returns the place of the first byte that is not valid; undefined when all are. */
export const faultOf = (bytes: Uint8Array): Fault | undefined => {
  if (decode(bytes) !== undefined) return undefined
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const lossy = Buffer.from(data.toString("utf8"))
  let offset = 0
  while (data[offset] === lossy[offset]) offset++
  // The first bytes of a truncated character may be equal to those of U+FFFD.
  let before = decode(data.subarray(0, offset))
  while (before === undefined) before = decode(data.subarray(0, --offset))
  const lines = before.split("\n")
  return { offset, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}

/** The longest beginning of a text with at most `maxBytes` bytes and no half character. */
export const clip = (text: string, maxBytes: number): string => {
  let length = 0
  let clipped = ""
  for (const character of text) {
    length += Buffer.byteLength(character)
    if (length > maxBytes) break
    clipped += character
  }
  return clipped
}
