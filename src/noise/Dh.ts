import { diffieHellman } from "node:crypto"
import { importPublic, type KeyPair } from "../keys/KeyPair.ts"
import type { NoiseError } from "./NoiseError.ts"

/** DHLEN of X25519, in bytes. Section 12.1. */
export const dhLen = 32

/**
 * DH(key_pair, public_key), section 4.1. An all-zero result is an error, which section 12.1
 * permits.
 */
export const dh = ({ privateKey }: KeyPair, publicKey: Uint8Array): Uint8Array | NoiseError => {
  try {
    return diffieHellman({ privateKey, publicKey: importPublic(publicKey) })
  } catch {
    // OpenSSL rejects an all-zero result; a key of 32 bytes cannot fail otherwise.
    return "low-order point"
  }
}
