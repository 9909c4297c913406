/** What one input may cost in any target: exceeding it counts as a violated property. */
export const limits = {
  /** CPU time in milliseconds, measured again before it counts. */
  cpuMillis: 500,
  /** Memory that is allocated and not yet collected at the end, in bytes. */
  heapBytes: 96 * 1024 * 1024,
  /** Time in milliseconds after which an input that has not ended is stopped, with the process. */
  hangMillis: 30_000,
  /** Files that a corpus keeps. */
  corpusFiles: 60
} as const
