// Log lines on standard error. Writing never waits, and a stalled reader costs bounded memory.
import type { Writable } from "node:stream"

export const limits = {
  /** Buffered bytes; beyond them lines are dropped and counted. */
  bufferedBytes: 1024 * 1024
} as const

/** Returns a writer of lines within `limits`; it reports the number of dropped lines. */
export const lineWriter = (stream: Writable): ((line: string) => void) => {
  let dropped = 0
  const reportDropped = () => {
    const line = `sealwire: warning: ${dropped.toLocaleString("en-US")} log lines dropped: the reader of stderr stalled\n`
    dropped = 0
    stream.write(line)
  }
  return (line) => {
    if (stream.writableLength > limits.bufferedBytes) {
      if (dropped++ === 0) stream.once("drain", reportDropped)
      return
    }
    stream.write(line)
  }
}

/** Writes a line to standard error. */
export const writeLog = lineWriter(process.stderr)
