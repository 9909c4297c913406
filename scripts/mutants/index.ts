import { bytes } from "./bytes.ts"
import { channel } from "./channel.ts"
import { files } from "./files.ts"
import { inbox } from "./inbox.ts"
import { keys } from "./keys.ts"
import type { Mutant } from "./Mutant.ts"
import { noise } from "./noise.ts"
import { peers } from "./peers.ts"
import { services } from "./services.ts"
import { sql } from "./sql.ts"
import { transfer } from "./transfer.ts"
import { transports } from "./transports.ts"

/** The mutants of every room, by the name of the room. */
export const rooms: Readonly<Record<string, ReadonlyArray<Mutant>>> = {
  bytes,
  noise,
  transports,
  channel,
  keys,
  peers,
  files,
  services,
  transfer,
  inbox,
  sql
}
