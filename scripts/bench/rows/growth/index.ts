// How the cost of one item grows with their number: `npm run bench -- growth`. The contestants of
// these rows are sizes; the ratio of a size is the part of the first one's speed that it keeps.
import type { Row } from "../../Row.ts"
import { connections } from "./connections.ts"
import { flows } from "./flows.ts"
import { largeMessages, smallMessages } from "./messages.ts"
import { peers } from "./peers.ts"
import { stored } from "./stored.ts"

export const growthRows: ReadonlyArray<Row> = [
  connections,
  flows,
  smallMessages,
  largeMessages,
  peers,
  stored
]
