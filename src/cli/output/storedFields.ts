import * as Hex from "../../bytes/Hex.ts"
import type { StoredMessage } from "../../services/inbox/StoredMessage.ts"

/** What is known of a message beside its text, for `--json`. */
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
  key: peer,
  received: new Date(receivedAt).toISOString(),
  bytes: size,
  attempts,
  ...(leaseUntil === 0 ? {} : { leaseUntil: new Date(leaseUntil).toISOString() })
})
