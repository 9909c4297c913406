import * as Hex from "../../bytes/Hex.ts"
import { failuresOf, type StoredMessage } from "../../services/inbox/StoredMessage.ts"

const time = (millis: number): string => new Date(millis).toISOString()

/** The JSON fields of a stored message, without its text. */
export const storedMessageFields = ({
  id,
  peer,
  name,
  receivedAt,
  size,
  attempts,
  uncounted,
  leaseUntil,
  retryAt,
  error,
  deadAt
}: StoredMessage) => ({
  id: Hex.encode(id),
  peer: name,
  peerKey: peer,
  receivedAt: time(receivedAt),
  bytes: size,
  attempts,
  ...(error === undefined ? {} : { failures: failuresOf({ attempts, uncounted }), error }),
  ...(leaseUntil === 0 ? {} : { leaseUntil: time(leaseUntil) }),
  ...(retryAt === 0 ? {} : { retryAt: time(retryAt) }),
  ...(deadAt === undefined ? {} : { deadAt: time(deadAt) })
})
