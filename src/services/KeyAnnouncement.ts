// The public keys a server has, told to a client that knows one of them: so a key is changed for another. MESSAGES.md.
import { limits } from "../channel/limits.ts"
import type { ServerKey } from "../peers/KnownPeers.ts"

const version = 1
const headerBytes = 2
const keyBytes = 32
const entryBytes = keyBytes + 8

/** The last second that a peers file can say. */
const lastSecond = BigInt(Date.UTC(9999, 11, 31, 23, 59, 59) / 1000)

/** True for what is meant as one: no control message of a service begins with this byte. */
export const isOne = (body: Uint8Array): boolean => body[0] === version

/** 1 | count (1) | count times: public key (32) | retires (u64, seconds since 1970; 0 is never). */
export const encode = (keys: ReadonlyArray<ServerKey>): Uint8Array => {
  const body = Buffer.alloc(headerBytes + keys.length * entryBytes)
  body[0] = version
  body[1] = keys.length
  for (const [index, { publicKey, retires = 0 }] of keys.entries()) {
    const at = headerBytes + index * entryBytes
    body.set(publicKey, at)
    body.writeBigUInt64BE(BigInt(Math.floor(retires / 1000)), at + keyBytes)
  }
  return body
}

/**
 * The keys, the current one first, or undefined when the body is no announcement: another version or length, no key or more than
 * `limits.identities`, one key twice, a current key that retires, or a date that no peers file can say.
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
  for (let at = headerBytes; at < view.length; at += entryBytes) {
    const publicKey = view.subarray(at, at + keyBytes)
    const seconds = view.readBigUInt64BE(at + keyBytes)
    if (seconds > lastSecond || (seconds > 0n && keys.length === 0)) return undefined
    if (keys.some((before) => Buffer.compare(before.publicKey, publicKey) === 0)) return undefined
    keys.push(seconds === 0n ? { publicKey } : { publicKey, retires: Number(seconds) * 1000 })
  }
  return keys
}
