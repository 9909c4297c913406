// The announcement of a server's public keys to a client that knows one of them; it makes the
// rotation of a key possible. PROTOCOL.md section 14.
import { limits } from "../channel/limits.ts"
import type { ServerKey } from "../peers/KnownPeers.ts"

const version = 1
const headerBytes = 2
const keyBytes = 32
const entryBytes = keyBytes + 8

/** The last second that a peers file can hold. */
const lastSecond = BigInt(Date.UTC(9999, 11, 31, 23, 59, 59) / 1000)

/**
 * Returns true for a control message that is meant as one. No service begins a message with this
 * byte.
 */
export const isAnnouncement = (body: Uint8Array): boolean => body[0] === version

/**
 * Encodes: 1 | count (1) | count × (public key (32) | retires (u64, seconds since 1970; 0 is
 * never)).
 */
export const encode = (keys: ReadonlyArray<ServerKey>): Uint8Array => {
  const body = Buffer.alloc(headerBytes + keys.length * entryBytes)
  body[0] = version
  body[1] = keys.length
  for (const [index, { publicKey, retires = 0 }] of keys.entries()) {
    const offset = headerBytes + index * entryBytes
    body.set(publicKey, offset)
    body.writeBigUInt64BE(BigInt(Math.floor(retires / 1000)), offset + keyBytes)
  }
  return body
}

/**
 * Decodes the keys, the current one first. Undefined for an invalid body: another version or
 * length, no key or more than `limits.identities`, a repeated key, a current key that retires, or
 * a date that no peers file can hold.
 */
export const decode = (body: Uint8Array): ReadonlyArray<ServerKey> | undefined => {
  const count = body[1] ?? 0
  if (
    body[0] !== version ||
    count < 1 ||
    count > limits.identities ||
    body.length !== headerBytes + count * entryBytes
  )
    return undefined
  const view = Buffer.from(body)
  const keys: Array<ServerKey> = []
  for (let offset = headerBytes; offset < view.length; offset += entryBytes) {
    const publicKey = view.subarray(offset, offset + keyBytes)
    const seconds = view.readBigUInt64BE(offset + keyBytes)
    if (seconds > lastSecond || (seconds > 0n && keys.length === 0)) return undefined
    if (keys.some((key) => Buffer.compare(key.publicKey, publicKey) === 0)) return undefined
    keys.push(seconds === 0n ? { publicKey } : { publicKey, retires: Number(seconds) * 1000 })
  }
  return keys
}
