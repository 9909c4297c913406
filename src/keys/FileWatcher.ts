import { stat } from "node:fs/promises"
import * as Effect from "effect/Effect"

/** How often a file is looked at, in milliseconds. By looking, not by events: those know no network folders and no renamed links. */
const pollMillis = 250

/** Tells one state of a file from another; "" where there is none. */
export const stateOf = (file: string): Effect.Effect<string> =>
  Effect.promise(() =>
    stat(file, { bigint: true }).then(
      ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(" "),
      () => ""
    )
  )

/** How long a file may go on changing before it is taken as it is. */
const restlessMillis = 750

/**
 * Waits for another state than `known`, until it has lasted for two looks: an editor may empty a file before it writes it. One that
 * changes all the time is not waited for.
 */
export const waitForChange = (file: string, known: string): Effect.Effect<string> =>
  Effect.gen(function* () {
    let before = known
    for (let restless = 0; ;) {
      yield* Effect.sleep(pollMillis)
      const now = yield* stateOf(file)
      if (now !== known && (now === before || restless >= restlessMillis)) return now
      if (now !== known) restless += pollMillis
      before = now
    }
  })
