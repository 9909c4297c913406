// The part of an encrypted file before its payload: magic, header length, header, key block.
// FORMAT.md. Pure.
import type { Secret } from "../bytes/Secret.ts"
import { prefixBytes, sealedLength } from "./Cobblestone.ts"
import * as Header from "./Header.ts"
import { limits } from "./limits.ts"
import { openMessage } from "./Opener.ts"
import { sealMessage } from "./Sealer.ts"

/** "SLWF" CR LF SUB, and the version. It is also the context of the payload. */
export const magic = Buffer.from("SLWF\r\n\x1a\x01", "latin1")

/** Length of the header key and the payload key. */
export const keyBytes = 32

const headerLengthBytes = 4
/** Length of the fixed-size part, magic and header length, which gives the length of the whole. */
export const fixedBytes = magic.length + headerLengthBytes
const keyBlockBytes = prefixBytes + sealedLength(keyBytes)
/** Maximum length of a prelude. */
export const maxBytes = fixedBytes + limits.headerBytes + keyBlockBytes

/** A decoded prelude. Nothing in it is authenticated yet. */
export interface Prelude {
  readonly header: Header.Header
  /** Every byte before the key block, which is the key block's context. */
  readonly context: Uint8Array
  readonly keyBlock: Uint8Array
}

/** Encodes a prelude; the key block seals the payload key under the header key. */
export const encode = (
  header: Header.Header,
  headerKey: Secret,
  payloadKey: Secret
): Uint8Array => {
  const headerText = Header.encode(header)
  const headerLength = Buffer.alloc(headerLengthBytes)
  headerLength.writeUInt32BE(headerText.length)
  const context = Buffer.concat([magic, headerLength, headerText])
  return Buffer.concat([context, sealMessage(headerKey.expose(), context, payloadKey.expose())])
}

/** True when the bytes, at least 8, begin with the magic of this version. */
export const hasMagic = (bytes: Uint8Array): boolean =>
  bytes.length >= magic.length && Buffer.compare(bytes.subarray(0, magic.length), magic) === 0

/** Returns the version when the bytes begin with the magic of a later version. */
export const newerVersion = (bytes: Uint8Array): number | undefined => {
  const versionAt = magic.length - 1
  const [current = 0, version = 0] = [magic[versionAt], bytes[versionAt]]
  return version > current &&
    Buffer.compare(bytes.subarray(0, versionAt), magic.subarray(0, versionAt)) === 0
    ? version
    : undefined
}

/**
 * Returns the length of the prelude from its fixed-size part; undefined when the header length is 0
 * or above `limits.headerBytes`.
 */
export const lengthOf = (fixed: Uint8Array): number | undefined => {
  const headerLength = Buffer.from(fixed).readUInt32BE(magic.length)
  return headerLength === 0 || headerLength > limits.headerBytes
    ? undefined
    : fixedBytes + headerLength + keyBlockBytes
}

/** Decodes a whole prelude; undefined when its header is malformed. */
export const decode = (bytes: Uint8Array): Prelude | undefined => {
  const context = bytes.subarray(0, bytes.length - keyBlockBytes)
  const header = Header.decode(context.subarray(fixedBytes))
  return header === undefined
    ? undefined
    : { header, context, keyBlock: bytes.subarray(context.length) }
}

/**
 * Opens the key block and returns the payload key; undefined when a byte of the prelude was
 * changed, or the header key is not the right one.
 */
export const openKeyBlock = (
  { context, keyBlock }: Prelude,
  headerKey: Secret
): Uint8Array | undefined => {
  const payloadKey = openMessage(headerKey.expose(), context, keyBlock)
  return typeof payloadKey === "string" ? undefined : payloadKey
}
