// A reader of standard error who stalls costs lines, and no memory.
import { Writable } from "node:stream"
import { expect, it } from "vitest"
import { limits, lineWriter } from "../../src/cli/output/Log.ts"

it("lines that nobody takes are left out, counted, and told of", async () => {
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
  const say = lineWriter(stream)
  const line = `${"x".repeat(999)}\n`
  const said = 5000
  for (let count = 0; count < said; count++) say(line)
  expect(taken.length).toBe(1)
  expect(stream.writableLength).toBeLessThanOrEqual(limits.bufferedBytes + line.length)

  stalls = false
  release?.()
  await new Promise((resolve) => setImmediate(resolve))
  const kept = taken.filter((one) => one === line).length
  const missing = (said - kept).toLocaleString("en-US")
  expect(taken.at(-1)).toBe(
    `sealwire: warning: ${missing} log lines dropped: the reader of stderr stalled\n`
  )
  expect(kept).toBeLessThan(said)

  say("and on\n")
  expect(taken.at(-1)).toBe("and on\n")
})
