/**
 * An error of a handshake or cipher state. It is final: every later call on the state fails with
 * "out of turn". Plain strings, because error objects would cost CPU time for each record.
 */
export type NoiseError =
  /** The tag does not match. n does not advance. Section 5.1. */
  | "decrypt failed"
  /** n has reached 2^64-1, which is reserved for Rekey(). Section 5.1. */
  | "nonce exhausted"
  /**
   * The DH result is all zero: the public key of the peer is a low-order point. RFC 7748 section
   * 6.1.
   */
  | "low-order point"
  /** The message is shorter than its tokens require. */
  | "too short"
  /** The message has more than 65,535 bytes. Section 3. */
  | "too long"
  /** An earlier call failed, or the call does not fit the state of the handshake. */
  | "out of turn"

/** Returns true when a call returned an error instead of bytes. */
export const isNoiseError = (result: Uint8Array | NoiseError): result is NoiseError =>
  typeof result === "string"
