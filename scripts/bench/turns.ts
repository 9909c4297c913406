// How long the event loop is blocked: the CPU time of its longest turn. Other programs on the
// machine do not count.
import { readFileSync } from "node:fs"

/** CPU milliseconds of this thread so far; elapsed time where there is no /proc. */
export const threadTime = (): number => {
  try {
    // The first number is the time on a processor, in nanoseconds (kernel: sched-stats).
    const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(
      " "
    )
    return Number(nanoseconds) / 1e6
  } catch {
    return performance.now()
  }
}

/**
 * Watches the turns of the event loop until `stop`, which returns the CPU milliseconds of them all
 * and of the longest. Watching itself costs some microseconds a turn.
 */
export const longestTurn = (): {
  readonly stop: () => { readonly cpu: number; readonly longest: number }
} => {
  const begin = threadTime()
  let [last, longest, isWatching] = [begin, 0, true]
  const watch = () => {
    const now = threadTime()
    longest = Math.max(longest, now - last)
    last = now
    if (isWatching) setImmediate(watch)
  }
  setImmediate(watch)
  return {
    stop: () => {
      isWatching = false
      const now = threadTime()
      return { cpu: now - begin, longest: Math.max(longest, now - last) }
    }
  }
}
