/** Bytes as lower-case hexadecimal digits, two a byte, no separator. */
export const encode = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")

/** The bytes, or undefined when the text has an odd length or anything but hexadecimal digits. */
export const decode = (text: string): Uint8Array | undefined =>
  // Buffer.from stops silently at the first stray character, so the text is checked first.
  text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text) ? Buffer.from(text, "hex") : undefined
