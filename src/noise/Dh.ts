import { diffieHellman, type KeyObject } from "node:crypto"
import { Secret } from "../bytes/Secret.ts"
import { importPublic, type KeyPair } from "../keys/KeyPair.ts"
import type { NoiseError } from "./NoiseError.ts"

/** DHLEN of X25519, in bytes. Section 12.1. */
export const dhLen = 32

/**
 * DH(key_pair, public_key), section 4.1. An all-zero result is an error, which section 12.1
 * permits. The public key may be imported already, which saves a fifth of the time.
 */
export const dh = (
  { privateKey }: KeyPair,
  publicKey: Uint8Array | KeyObject
): Uint8Array | NoiseError => {
  try {
    return diffieHellman({
      privateKey,
      publicKey: publicKey instanceof Uint8Array ? importPublic(publicKey) : publicKey
    })
  } catch {
    // OpenSSL rejects an all-zero result; a key of 32 bytes cannot fail otherwise.
    return "low-order point"
  }
}

/** Most results that are kept for one local key. */
export const keptResults = 1024

/**
 * The results of DH between a long-term key of this side and those of its peers: the same in every
 * handshake. Nobody learns more from them than from the private key, and they go with it.
 */
const results = new WeakMap<KeyObject, Map<string, Secret>>()

/** DH between two long-term keys, of which the last results are kept. */
export const staticDh = (
  pair: KeyPair,
  publicKey: Uint8Array,
  imported: KeyObject
): Uint8Array | NoiseError => {
  const kept = results.get(pair.privateKey) ?? new Map<string, Secret>()
  results.set(pair.privateKey, kept)
  const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString(
    "latin1"
  )
  const known = kept.get(name)
  if (known !== undefined) return known.expose()
  const result = dh(pair, imported)
  if (typeof result === "string") return result
  kept.set(name, new Secret(result))
  for (const oldest of kept.keys()) {
    if (kept.size <= keptResults) break
    kept.delete(oldest)
  }
  return result
}
