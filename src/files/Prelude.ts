// What stands before the payload: magic, header, key block. FORMAT.md. Pure.
import type { Secret } from "../bytes/Secret.ts"
import { prefixBytes, sealedLength } from "./Cobblestone.ts"
import * as Header from "./Header.ts"
import { limits } from "./limits.ts"
import { openMessage } from "./Opener.ts"
import { sealMessage } from "./Sealer.ts"

/** "SLWF" CR LF SUB, and the version. The payload's context, too. */
export const magic = Buffer.from("SLWF\r\n\x1a\x01", "latin1")

/** Every key that is in a file. */
export const keyBytes = 32

const lengthBytes = 4
/** Magic and header length: with them it is known how long the head is. */
export const fixedBytes = magic.length + lengthBytes
const keyBlockBytes = prefixBytes + sealedLength(keyBytes)
/** No head is longer. */
export const maxBytes = fixedBytes + limits.headerBytes + keyBlockBytes

/** A head whose header is spelled right; nothing in it is proven. */
export interface Prelude {
  readonly header: Header.Header
  /** Every byte before the key block: its context. */
  readonly context: Uint8Array
  readonly keyBlock: Uint8Array
}

export const encode = (
  header: Header.Header,
  headerKey: Secret,
  payloadKey: Secret
): Uint8Array => {
  const text = Header.encode(header)
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(text.length)
  const context = Buffer.concat([magic, length, text])
  return Buffer.concat([context, sealMessage(headerKey.expose(), context, payloadKey.expose())])
}

/** True when a file that begins with these bytes, at least 8 of them, may be one of ours. */
export const hasMagic = (start: Uint8Array): boolean =>
  start.length >= magic.length && Buffer.compare(start.subarray(0, magic.length), magic) === 0

/** The version that a file begins with when a later program than this one may have made it. */
export const newerVersion = (start: Uint8Array): number | undefined => {
  const at = magic.length - 1
  const [ours = 0, version = 0] = [magic[at], start[at]]
  return version > ours && Buffer.compare(start.subarray(0, at), magic.subarray(0, at)) === 0
    ? version
    : undefined
}

/** The length of the head, from its first 12 bytes; undefined when its header is longer than any. */
export const lengthOf = (start: Uint8Array): number | undefined => {
  const length = Buffer.from(start).readUInt32BE(magic.length)
  return length === 0 || length > limits.headerBytes
    ? undefined
    : fixedBytes + length + keyBlockBytes
}

/** The whole head; undefined when its header is not spelled right. */
export const decode = (head: Uint8Array): Prelude | undefined => {
  const context = head.subarray(0, head.length - keyBlockBytes)
  const header = Header.decode(context.subarray(fixedBytes))
  return header === undefined
    ? undefined
    : { header, context, keyBlock: head.subarray(context.length) }
}

/** The payload key; undefined when a byte of the head was changed, or the header key is another's. */
export const openKeyBlock = (
  { context, keyBlock }: Prelude,
  headerKey: Secret
): Uint8Array | undefined => {
  const payloadKey = openMessage(headerKey.expose(), context, keyBlock)
  return typeof payloadKey === "string" ? undefined : payloadKey
}
