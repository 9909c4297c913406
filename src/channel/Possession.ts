// Proofs that a server holds further long-term keys, each for one channel. PROTOCOL.md section 14.
import { createHmac, timingSafeEqual } from "node:crypto"
import type { KeyPair } from "../keys/KeyPair.ts"
import { dh } from "../noise/Dh.ts"
import { isNoiseError } from "../noise/NoiseError.ts"

/** Length of a proof, in bytes. */
export const proofBytes = 32

/** Proves the possession of long-term keys of the server to the client of one channel. */
export interface Possession {
  /**
   * Returns the server's proof that it holds `pair`, for a statement. Undefined on a client, and in
   * a suite without identities.
   */
  readonly prove: (pair: KeyPair, statement: Uint8Array) => Uint8Array | undefined
  /**
   * Checks on the client that the server holds the private key of `publicKey`, and has proven it
   * for this statement and channel. False on a server, after `forget`, and for a point of low
   * order.
   */
  readonly verify: (publicKey: Uint8Array, statement: Uint8Array, proof: Uint8Array) => boolean
  /** Drops the client's ephemeral key, with which recorded traffic could be opened later. */
  readonly forget: () => void
}

const domain = Buffer.from("sealwire key announcement\0")

/** No key can be proven or checked. */
const none: Possession = { prove: () => undefined, verify: () => false, forget: () => {} }

/** The server's side, with the client's ephemeral public key. */
export const ofServer = (
  handshakeHash: Uint8Array,
  clientEphemeral: Uint8Array | undefined
): Possession =>
  clientEphemeral === undefined
    ? none
    : {
        ...none,
        prove: (pair, statement) => {
          const shared = dh(pair, clientEphemeral)
          return isNoiseError(shared)
            ? undefined
            : proofOf(shared, handshakeHash, pair.publicKey, statement)
        }
      }

/** The client's side, with its ephemeral key pair. */
export const ofClient = (handshakeHash: Uint8Array, ephemeral: KeyPair | undefined): Possession => {
  let own = ephemeral
  return {
    ...none,
    verify: (publicKey, statement, proof) => {
      // An all-zero result, of a point of low order, is an error: anybody could compute its proof.
      const shared = own === undefined ? "no ephemeral key" : dh(own, publicKey)
      return (
        typeof shared !== "string" &&
        proof.length === proofBytes &&
        timingSafeEqual(proof, proofOf(shared, handshakeHash, publicKey, statement))
      )
    },
    forget: () => {
      own = undefined
    }
  }
}

/** HMAC-SHA256(DH, domain | handshake hash | public key | statement). */
const proofOf = (
  shared: Uint8Array,
  handshakeHash: Uint8Array,
  publicKey: Uint8Array,
  statement: Uint8Array
): Uint8Array => {
  const proof = createHmac("sha256", shared)
    .update(domain)
    .update(handshakeHash)
    .update(publicKey)
    .update(statement)
    .digest()
  shared.fill(0)
  return proof
}
