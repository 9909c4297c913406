import * as Hex from "../../bytes/Hex.ts"
import type { StoredMessage } from "../../services/inbox/StoredMessage.ts"

/** The JSON fields of a stored message, without its text. */
export const storedMessageFields = ({
  id,
  peer,
  name,
  receivedAt,
  size,
  attempts,
  leaseUntil
}: StoredMessage) => ({
  id: Hex.encode(id),
  peer: name,
  peerKey: peer,
  receivedAt: new Date(receivedAt).toISOString(),
  bytes: size,
  attempts,
  ...(leaseUntil === 0 ? {} : { leaseUntil: new Date(leaseUntil).toISOString() })
})
