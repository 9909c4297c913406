/**
 * What the machine says instead of bytes. Each ends the state that said it: a handshake or cipher that refused once
 * refuses everything after. Plain strings, so that the hot path makes no error objects.
 */
export type NoiseError =
  /** The tag is wrong. Section 5.1: n did not advance. */
  | "decrypt failed"
  /** n has reached 2^64-1, which is kept for Rekey. Section 5.1. */
  | "nonce exhausted"
  /** The result of DH is zero, whatever our key: the peer sent a point of low order. RFC 7748 section 6.1. */
  | "low-order point"
  /** Shorter than its tokens need. */
  | "too short"
  /** More than 65,535 bytes. Section 3. */
  | "too long"
  /** It refused before, or is not at this point: another's turn, finished, or not finished yet. */
  | "out of turn"

export const isNoiseError = (result: Uint8Array | NoiseError): result is NoiseError =>
  typeof result === "string"
