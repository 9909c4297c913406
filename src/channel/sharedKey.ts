import type { Secret } from "../bytes/Secret.ts"

/** Length of a shared key, and of an X25519 key. */
export const keyBytes = 32

/**
 * Returns why a shared key cannot be used, if it cannot: its length, or 32 zero bytes, which
 * PROTOCOL.md section 2 forbids.
 */
export const sharedKeyError = (secret: Secret): string | undefined => {
  if (secret.length !== keyBytes) return `a shared key must have ${keyBytes} bytes`
  return secret.isZero ? "a shared key of all zeros is not valid; create a new one" : undefined
}
