// PROTOCOL.md section 8: how a channel is closed in good order.

/** CLOSE: why, and the DATA bytes this side sent and received. */
export interface Close {
  readonly code: CloseCode
  readonly sent: number
  readonly received: number
}

/** PROTOCOL.md section 8. */
export const CloseCode = {
  /** All is said. */
  Done: 0,
  /** The session has used up its records. */
  Exhausted: 1,
  /** The side is going down. */
  GoingAway: 2,
  /** The program gives up. */
  Failed: 3,
  /** The rules for this peer do not allow it. */
  Refused: 4,
  /** What the client has opened for is not to be had here. */
  NotOffered: 5
} as const
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

export const encodeClose = ({ code, sent, received }: Close): Uint8Array => {
  const body = Buffer.alloc(17)
  body[0] = code
  body.writeBigUInt64BE(BigInt(sent), 1)
  body.writeBigUInt64BE(BigInt(received), 9)
  return body
}

export const decodeClose = (body: Uint8Array): Close => {
  const view = Buffer.from(body)
  return {
    code: view[0] as CloseCode,
    sent: Number(view.readBigUInt64BE(1)),
    received: Number(view.readBigUInt64BE(9))
  }
}

const closeReasons: ReadonlyMap<CloseCode, string> = new Map([
  [CloseCode.Done, "all is said"],
  [CloseCode.Exhausted, "this session has used up its records; connect again"],
  [CloseCode.GoingAway, "it is going down"],
  [CloseCode.Failed, "it failed"],
  [CloseCode.Refused, "the rules for this key do not allow it"],
  [CloseCode.NotOffered, "what was asked for is not offered here"]
])

/** A code that is not known here counts as a failure: PROTOCOL.md section 8. */
export const reasonOf = (code: CloseCode): string =>
  closeReasons.get(code) ?? `it failed (code ${code})`
