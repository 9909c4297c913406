import type { Row } from "./Row.ts"
import { bulk } from "./rows/bulk.ts"
import { fileRows } from "./rows/files.ts"
import { growthRows } from "./rows/growth/index.ts"
import { handshakeRows } from "./rows/handshakes.ts"
import { inboxRow } from "./rows/inboxes.ts"
import { memory } from "./rows/memory.ts"
import { messages } from "./rows/messages.ts"
import { peersRow } from "./rows/peers.ts"
import { pushRows } from "./rows/pushes.ts"
import { roundTrips } from "./rows/roundTrips.ts"
import { startup } from "./rows/startup.ts"
import { strangerRows } from "./rows/strangers.ts"
import { tunnelRows } from "./rows/tunnel.ts"

/** Every row, in the order of the table. */
export const rows: ReadonlyArray<Row> = [
  bulk,
  ...handshakeRows,
  ...strangerRows,
  roundTrips,
  messages,
  inboxRow,
  memory,
  peersRow,
  ...fileRows,
  ...pushRows,
  ...tunnelRows,
  startup,
  ...growthRows
]
