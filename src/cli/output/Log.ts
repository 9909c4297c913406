// Lines for whoever reads standard error. Nobody waits for them, and they wait for nobody.
import type { Writable } from "node:stream"

export const limits = {
  /** Bytes that nobody has taken yet; beyond them lines are left out, and counted. */
  untakenBytes: 1024 * 1024
} as const

/** Writes lines to a stream within `limits`; where some are left out, a line says how many. */
export const lineWriter = (stream: Writable): ((line: string) => void) => {
  let leftOut = 0
  const own = () => {
    const line = `sealwire: warning: ${leftOut.toLocaleString("en-US")} lines are missing here: they were not read in time\n`
    leftOut = 0
    stream.write(line)
  }
  return (line) => {
    if (stream.writableLength > limits.untakenBytes) {
      if (leftOut++ === 0) stream.once("drain", own)
      return
    }
    stream.write(line)
  }
}

/** To standard error. */
export const writeLog = lineWriter(process.stderr)
