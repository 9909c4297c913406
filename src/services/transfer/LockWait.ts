// Waits for another session of the same peer that writes the same partial file: an identical transfer
// that runs beside this one, or an earlier one whose lost connection nobody has noticed. The other
// keeps the file as long as it makes progress. A session of another process can be neither asked nor
// ended: the client is told soon, and decides how long it tries again. TRANSFER.md section 6.
import * as Effect from "effect/Effect"
import { Timers } from "../../transports/Timers.ts"
import { attempt } from "./Disk.ts"
import { limits } from "./limits.ts"
import { lstatIfExists } from "./PartialFile.ts"
import { holderOf, type Holder } from "./PartialFileLock.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"

export class LockWait {
  /** What was seen of the other session, and since when, by `Timers.monotonic`. */
  #seen: string | undefined
  #since = 0
  #pause: number = limits.firstLockPauseMillis
  /** The session of this process that was ended for this one. */
  #ended: Holder | undefined

  /**
   * Waits a moment, after which the caller tries again to lock the file. Returns false if the other
   * session makes no progress and cannot be ended.
   */
  next(
    directory: SafeDirectory,
    partialName: string
  ): Effect.Effect<boolean, NodeJS.ErrnoException> {
    return Effect.gen(this, function* () {
      const { monotonic } = yield* Timers.current
      const stats = yield* attempt(() => lstatIfExists(directory, partialName))
      const holder = stats === undefined ? undefined : holderOf(stats)
      holder?.probe()
      const seen = [stats?.ino, stats?.size, stats?.mtimeMs, holder?.progress()].join()
      if (seen !== this.#seen) {
        this.#seen = seen
        this.#since = monotonic
      } else if (
        monotonic - this.#since >=
        (holder === undefined ? limits.foreignStalledMillis : limits.stalledMillis)
      ) {
        if (holder === undefined || holder === this.#ended) return false
        this.#ended = holder
        this.#since = monotonic
        yield* holder.end
      }
      yield* Effect.sleep(this.#pause)
      this.#pause = Math.min(2 * this.#pause, limits.longestLockPauseMillis)
      return true
    })
  }
}
