// A stalled reader of stderr loses lines and costs bounded memory.
import { Writable } from "node:stream"
import { expect, it } from "vitest"
import { limits, lineWriter } from "../../src/cli/output/Log.ts"

it("drops lines beyond the buffer and reports their number", async () => {
  const taken: Array<string> = []
  let release: (() => void) | undefined
  let stalls = true
  const stream = new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      taken.push(line)
      if (stalls) release = done
      else done()
    }
  })
  const write = lineWriter(stream)
  const line = `${"x".repeat(999)}\n`
  const lineCount = 5000
  for (let count = 0; count < lineCount; count++) write(line)
  expect(taken.length).toBe(1)
  expect(stream.writableLength).toBeLessThanOrEqual(limits.bufferedBytes + line.length)

  stalls = false
  release?.()
  await new Promise((resolve) => setImmediate(resolve))
  const kept = taken.filter((each) => each === line).length
  const missing = (lineCount - kept).toLocaleString("en-US")
  expect(taken.at(-1)).toBe(
    `sealwire: warning: ${missing} log lines dropped: the reader of stderr stalled\n`
  )
  expect(kept).toBeLessThan(lineCount)

  write("and on\n")
  expect(taken.at(-1)).toBe("and on\n")
})
