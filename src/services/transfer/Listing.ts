// Lists directories of any size without blocking the event loop.
import { opendirSync, type Dir } from "node:fs"
import * as Effect from "effect/Effect"
import { attempt, yieldTurn } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"

/** Number of names handled in this turn; shared by the listings of many small directories. */
export interface Handled {
  count: number
}

/**
 * Calls `use` with each name of a directory, as bytes. The event loop gets a turn after every
 * `limits.entriesPerTurn` names; fails with system errors, and with what `use` throws.
 */
export const forEachName = (
  directory: SafeDirectory,
  use: (name: Buffer) => void,
  handled: Handled = { count: 0 }
): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.acquireUseRelease(
    attempt(() => opendirSync(directory.listingPath, listingOptions)),
    (listing) =>
      Effect.gen(function* () {
        // An empty directory takes time too.
        handled.count++
        while (yield* attempt(() => readTurn(listing, use, handled))) {
          yield* yieldTurn
          handled.count = 0
        }
      }),
    (listing) => Effect.sync(() => listing.closeSync())
  )

/** Reads the names of one turn; returns false at the end of the directory. */
const readTurn = (listing: Dir, use: (name: Buffer) => void, handled: Handled): boolean => {
  while (handled.count < limits.entriesPerTurn) {
    const next = listing.readSync()
    if (next === null) return false
    handled.count++
    use(next.name as unknown as Buffer)
  }
  return true
}

/** Options of opendir for names as bytes, as many as one turn handles. */
export const listingOptions = {
  encoding: "buffer" as BufferEncoding,
  bufferSize: limits.entriesPerTurn
}
