import { stat } from "node:fs/promises"
import * as Effect from "effect/Effect"

/** Polling interval in milliseconds. File events miss network folders and renamed links. */
const pollMillis = 250

/** Returns a string that differs between two states of a file; "" when there is no file. */
export const stateOf = (file: string): Effect.Effect<string> =>
  Effect.promise(() =>
    stat(file, { bigint: true }).then(
      ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(" "),
      () => ""
    )
  )

/** Milliseconds after which a file that keeps changing is reported in its current state. */
const settleMillis = 750

/**
 * Waits until the file has another state than `known`, and returns it. The new state must last for
 * two polls, because an editor may empty a file before it writes it, but at most `settleMillis`.
 */
export const waitForChange = (file: string, known: string): Effect.Effect<string> =>
  Effect.gen(function* () {
    let previous = known
    for (let unsettledMillis = 0; ;) {
      yield* Effect.sleep(pollMillis)
      const current = yield* stateOf(file)
      if (current !== known && (current === previous || unsettledMillis >= settleMillis))
        return current
      if (current !== known) unsettledMillis += pollMillis
      previous = current
    }
  })
