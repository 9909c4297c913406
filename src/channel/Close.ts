// The CLOSE record. PROTOCOL.md section 8.

/**
 * The body of CLOSE: a code, and the number of DATA bytes that the sender has sent and received.
 */
export interface Close {
  readonly code: CloseCode
  readonly sent: number
  readonly received: number
}

/** The codes of CLOSE. */
export const CloseCode = {
  /** The sender has sent everything; implies FIN. */
  Done: 0,
  /** The session has used all of its record numbers. */
  Exhausted: 1,
  /** The sender is shutting down. */
  GoingAway: 2,
  /** The program failed. */
  Failed: 3,
  /** The rules for this peer do not allow the request. */
  Refused: 4,
  /** The requested service is not offered. */
  NotOffered: 5
} as const
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

/** Encodes the body of CLOSE. */
export const encodeClose = ({ code, sent, received }: Close): Uint8Array => {
  const body = Buffer.alloc(17)
  body[0] = code
  body.writeBigUInt64BE(BigInt(sent), 1)
  body.writeBigUInt64BE(BigInt(received), 9)
  return body
}

/** Decodes the body of CLOSE, which has 17 bytes. */
export const decodeClose = (body: Uint8Array): Close => {
  const view = Buffer.from(body)
  return {
    code: view[0] as CloseCode,
    sent: Number(view.readBigUInt64BE(1)),
    received: Number(view.readBigUInt64BE(9))
  }
}

const closeReasons: ReadonlyMap<CloseCode, string> = new Map([
  [CloseCode.Done, "it has finished"],
  [CloseCode.Exhausted, "the session has used all of its record numbers; connect again"],
  [CloseCode.GoingAway, "it is shutting down"],
  [CloseCode.Failed, "it failed"],
  [CloseCode.Refused, "its rules for this key do not allow the request"],
  [CloseCode.NotOffered, "the requested service is not offered"]
])

/** Describes a code. An unknown code counts as Failed: PROTOCOL.md section 8. */
export const reasonOf = (code: CloseCode): string =>
  closeReasons.get(code) ?? `it failed (code ${code})`
