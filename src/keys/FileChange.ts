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

/** Waits for another state than `known`, until it has lasted for two looks: an editor may empty a file before it writes it. */
export const next = (file: string, known: string): Effect.Effect<string> =>
  Effect.gen(function* () {
    let before = known
    for (;;) {
      yield* Effect.sleep(pollMillis)
      const now = yield* stateOf(file)
      if (now !== known && now === before) return now
      before = now
    }
  })
