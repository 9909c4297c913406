import { channel } from "./channel.ts"
import { files } from "./files.ts"
import { inbox } from "./inbox.ts"
import { keys } from "./keys.ts"
import type { Mutant } from "./Mutant.ts"
import { noise } from "./noise.ts"
import { peers } from "./peers.ts"
import { transfer } from "./transfer.ts"

/** The mutants of every room, by the name of the room. */
export const rooms: Readonly<Record<string, ReadonlyArray<Mutant>>> = {
  noise,
  channel,
  keys,
  peers,
  files,
  transfer,
  inbox
}
