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

/** The log of a command, on its standard error, where a progress line may be drawn too. */
export interface Log {
  /** True if the stream is a terminal. */
  readonly isTerminal: boolean
  /** Writes lines; the first one replaces the progress line. */
  readonly write: (lines: string) => void
  /** Draws the progress line in place of the last one. */
  readonly draw: (line: string) => void
  /** Erases the progress line. */
  readonly erase: () => void
}

const clearLine = "\r\u001b[K"

export const forStream = (stream: Writable & { readonly isTTY?: boolean }): Log => {
  const write = lineWriter(stream)
  /** True while a progress line is on the terminal. */
  let isDrawn = false
  const erased = (): string => {
    const before = isDrawn ? clearLine : ""
    isDrawn = false
    return before
  }
  return {
    isTerminal: stream.isTTY === true,
    write: (lines) => write(`${erased()}${lines}`),
    draw: (line) => {
      stream.write(`${clearLine}${line}`)
      isDrawn = true
    },
    erase: () => void stream.write(erased())
  }
}
