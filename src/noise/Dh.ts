import { diffieHellman } from "node:crypto"
import { importPublic, type KeyPair } from "../keys/KeyPair.ts"
import type { NoiseError } from "./NoiseError.ts"

/** X25519. Section 12.1. */
export const dhLen = 32

/** DH(keyPair, publicKey), section 4.1. A result of zero is refused, as section 12.1 allows. */
export const dh = ({ privateKey }: KeyPair, publicKey: Uint8Array): Uint8Array | NoiseError => {
  try {
    return diffieHellman({ privateKey, publicKey: importPublic(publicKey) })
  } catch {
    // OpenSSL refuses the zero result itself; a key of 32 bytes has no other way to fail.
    return "low-order point"
  }
}
