// PKCS#7 padding (RFC 5652, section 6.3) for blocks of 16 bytes. Node's automatic padding throws as
// soon as it finds an error, which is a timing oracle; here no branch and no address depends on the
// decrypted bytes.

export const blockLength = 16

/** Appends 1 to 16 bytes of padding, each with the number of padding bytes as its value. */
export const pad = (plaintext: Uint8Array): Uint8Array => {
  const count = blockLength - (plaintext.length % blockLength)
  const padded = Buffer.alloc(plaintext.length + count, count)
  padded.set(plaintext)
  return padded
}

/**
 * Returns the length without padding; -1 when the padding is wrong. The length of `padded` must be
 * a positive multiple of 16.
 */
export const unpaddedLength = (padded: Uint8Array): number => {
  const last = padded.length - 1
  const count = padded[last] as number
  // `(a - b) >>> 31` is 1 where a < b.
  let wrong = ((count - 1) >>> 31) | ((blockLength - count) >>> 31)
  for (let back = 0; back < blockLength; back++) {
    const isPadding = (back - count) >>> 31
    wrong |= isPadding * ((padded[last - back] as number) ^ count)
  }
  // 0 for correct padding, else -1 (all ones).
  const mask = -((wrong | -wrong) >>> 31)
  return (padded.length - count) | mask
}
