// The announcement of a server's public keys to a client that knows one of them; it makes the
// rotation of a key possible. PROTOCOL.md section 14.
import { limits } from "../channel/limits.ts"
import { proofBytes, type Possession } from "../channel/Possession.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import * as PublicKey from "../keys/PublicKey.ts"
import type { ServerKey } from "../peers/KnownPeers.ts"

const version = 2
/** The version that proved nothing. A client ignores it. */
const unprovenVersion = 1
const headerBytes = 2
const keyBytes = 32
const entryBytes = keyBytes + 8

/** The last second that a peers file can hold. */
const lastSecond = BigInt(Date.UTC(9999, 11, 31, 23, 59, 59) / 1000)

/**
 * Returns true for a control message that is meant as one. No service begins a message with this
 * byte.
 */
export const isAnnouncement = (body: Uint8Array): boolean => body[0] === version || isUnproven(body)

/** Returns true for an announcement of an earlier version, which proves nothing. */
export const isUnproven = (body: Uint8Array): boolean => body[0] === unprovenVersion

/** A key pair of a server, with the time from which on it refuses it. */
export type OwnKey = KeyPair & ServerKey

/** The channel of an announcement: the key that the handshake has proven, and proofs for others. */
export interface Proven {
  readonly shown: Uint8Array
  readonly possession: Possession
}

/**
 * Encodes: 2 | count (1) | count × (public key (32) | retires (u64, seconds since 1970; 0 is
 * never)) | a proof (32) for each key but the one of the handshake, in the same order. Undefined
 * where a key cannot be proven: in a suite without identities.
 */
export const encode = (
  keys: ReadonlyArray<OwnKey>,
  { shown, possession }: Proven
): Uint8Array | undefined => {
  const set = encodeSet(keys)
  const proofs = keys
    .filter(({ publicKey }) => !isSame(publicKey, shown))
    .map((key) => possession.prove(key, set))
  return proofs.every((proof) => proof !== undefined) ? Buffer.concat([set, ...proofs]) : undefined
}

/** The part before the proofs. Each proof covers all of it. */
const encodeSet = (keys: ReadonlyArray<ServerKey>): Buffer => {
  const set = Buffer.alloc(headerBytes + keys.length * entryBytes)
  set[0] = version
  set[1] = keys.length
  for (const [index, { publicKey, retires = 0 }] of keys.entries()) {
    const offset = headerBytes + index * entryBytes
    set.set(publicKey, offset)
    set.writeBigUInt64BE(BigInt(Math.floor(retires / 1000)), offset + keyBytes)
  }
  return set
}

/**
 * Decodes the keys, the current one first. Undefined for an invalid body: another version or
 * length, no key or more than `limits.identities`, a key that is repeated, not canonical or not
 * proven, a current key that retires, a date that no peers file can hold, or a set without the key
 * of the handshake.
 */
export const decode = (
  body: Uint8Array,
  { shown, possession }: Proven
): ReadonlyArray<ServerKey> | undefined => {
  const count = body[1] ?? 0
  const setBytes = headerBytes + count * entryBytes
  if (
    body[0] !== version ||
    count < 1 ||
    count > limits.identities ||
    body.length !== setBytes + (count - 1) * proofBytes
  )
    return undefined
  const set = Buffer.from(body.subarray(0, setBytes))
  const keys = decodeSet(set)
  const others = keys?.filter(({ publicKey }) => !isSame(publicKey, shown))
  if (others?.length !== count - 1) return undefined
  const isProven = others.every(({ publicKey }, index) => {
    const offset = setBytes + index * proofBytes
    return possession.verify(publicKey, set, body.subarray(offset, offset + proofBytes))
  })
  return isProven ? keys : undefined
}

const decodeSet = (set: Buffer): ReadonlyArray<ServerKey> | undefined => {
  const keys: Array<ServerKey> = []
  for (let offset = headerBytes; offset < set.length; offset += entryBytes) {
    const publicKey = set.subarray(offset, offset + keyBytes)
    const seconds = set.readBigUInt64BE(offset + keyBytes)
    if (seconds > lastSecond || (seconds > 0n && keys.length === 0)) return undefined
    if (!PublicKey.isCanonical(publicKey)) return undefined
    if (keys.some((key) => isSame(key.publicKey, publicKey))) return undefined
    keys.push(seconds === 0n ? { publicKey } : { publicKey, retires: Number(seconds) * 1000 })
  }
  return keys
}

const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0
