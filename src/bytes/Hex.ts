/** Encodes bytes as lower-case hexadecimal digits without separators. */
export const encode = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")

/** Decodes hexadecimal digits; undefined when the length is odd or a character is not a digit. */
export const decode = (text: string): Uint8Array | undefined =>
  // Buffer.from stops silently at the first other character, so the text is checked first.
  text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text) ? Buffer.from(text, "hex") : undefined
