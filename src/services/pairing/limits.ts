/** Every limit of a pairing, by name. */
export const limits = {
  /** Validity of a code, from when the host listens. */
  codeDeadline: "10 minutes",
  /** Time for both users to confirm, from the handshake on. */
  confirmDeadline: "10 minutes"
} as const
