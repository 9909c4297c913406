/** Returns true at most `limit` times in each second of the clock. */
export const rateLimit = (limit: number): (() => boolean) => {
  let second = 0
  let count = 0
  return () => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) count = 0
    second = now
    return ++count <= limit
  }
}
