import { protocolLimits } from "./limits.ts"

/** The type of a record, the first byte of its plaintext. PROTOCOL.md section 6. */
export const RecordType = {
  Ready: 1,
  Data: 2,
  Fin: 3,
  Close: 4,
  Ping: 5,
  Pong: 6,
  Control: 16
} as const
export type RecordType = (typeof RecordType)[keyof typeof RecordType]

/** Length of a record header, in bytes: type(1) | body length(2). */
export const headerBytes = 3

/** A record without its padding. */
export interface ChannelRecord {
  readonly type: RecordType
  readonly body: Uint8Array
}

const empty = new Uint8Array(0)

/** The range of valid body lengths of each type, in bytes. */
const lengths: ReadonlyMap<number, readonly [min: number, max: number]> = new Map([
  [RecordType.Ready, [0, protocolLimits.openingBytes]],
  [RecordType.Data, [1, protocolLimits.bodyBytes]],
  [RecordType.Fin, [8, 8]],
  [RecordType.Close, [17, 17]],
  [RecordType.Ping, [0, 0]],
  [RecordType.Pong, [0, 0]],
  [RecordType.Control, [1, protocolLimits.controlBytes]]
])

/** Writes a record header at `offset`. */
export const encodeHeader = (
  target: Buffer,
  offset: number,
  type: RecordType,
  length: number
): void => {
  target[offset] = type
  target[offset + 1] = length >> 8
  target[offset + 2] = length & 0xff
}

/**
 * Decodes a plaintext; returns undefined when it is malformed. The body is a view of the plaintext.
 */
export const decode = (plaintext: Uint8Array): ChannelRecord | undefined => {
  if (plaintext.length < headerBytes) return undefined
  const type = plaintext[0] as RecordType
  const length = ((plaintext[1] as number) << 8) | (plaintext[2] as number)
  const range = lengths.get(type)
  if (
    range === undefined ||
    length < range[0] ||
    length > range[1] ||
    length > plaintext.length - headerBytes
  )
    return undefined
  return {
    type,
    body: length === 0 ? empty : plaintext.subarray(headerBytes, headerBytes + length)
  }
}

/** Encodes the body of FIN: the number of DATA bytes sent. */
export const encodeFin = (sent: number): Uint8Array => {
  const body = Buffer.alloc(8)
  body.writeBigUInt64BE(BigInt(sent))
  return body
}

/** Decodes the body of FIN. */
export const decodeFin = (body: Uint8Array): number => Number(Buffer.from(body).readBigUInt64BE())
