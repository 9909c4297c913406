// HandshakeDriver: each step gets exactly the bytes that it asked for, however they arrive, and the
// rest stays in the flow.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { HandshakeDriver, type Steps } from "../../src/channel/HandshakeDriver.ts"
import type { Flow, FlowListener } from "../../src/transports/Connection.ts"

/** A flow of the test, and what the driver did with it. */
const rig = (steps: () => Steps<string>) => {
  let listener: FlowListener | undefined
  const seen = { outcome: [] as Array<string>, unread: "" }
  const flow = {
    start: (given: FlowListener) => (listener = given),
    stop: (unread: Uint8Array) => (seen.unread = Buffer.from(unread).toString())
  } as unknown as Flow
  const driver = new HandshakeDriver<string>(flow, steps(), {
    done: (result) => void seen.outcome.push(`done: ${result}`),
    defect: (cause) => void seen.outcome.push(`defect: ${String(cause)}`)
  })
  driver.start()
  return { seen, driver, listener: () => listener as FlowListener }
}

function* reading(): Steps<string> {
  const first = Buffer.from(yield 4).toString()
  const second = Buffer.from(yield 3).toString()
  return `${first}|${second}`
}

describe("the steps of a handshake", () => {
  it.prop(
    "read the same from chunks of any size",
    { cuts: FastCheck.array(FastCheck.integer({ min: 1, max: 6 }), { minLength: 1 }) },
    ({ cuts }) => {
      const { seen, driver, listener } = rig(reading)
      const bytes = Buffer.from("abcdefg-rest")
      let unread = ""
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const length = cuts[turn % cuts.length] ?? 1
        const chunk = bytes.subarray(at, at + length)
        if (seen.outcome.length === 0) listener().bytes(chunk)
        else unread += chunk.toString()
        at += length
      }
      expect(driver.hasReceived).toBe(true)
      expect(seen.outcome).toEqual(["done: abcd|efg"])
      expect(seen.unread + unread).toBe("-rest")
    }
  )

  it("fail when the connection ends, once", () => {
    for (const end of ["end", "lost"] as const) {
      const { seen, driver, listener } = rig(reading)
      expect(driver.hasReceived).toBe(false)
      if (end === "end") listener().end()
      else listener().lost("ECONNRESET")
      listener().lost("ECONNRESET")
      expect(seen.outcome).toEqual(["done: it closed the connection"])
    }
  })

  it("that throw are a defect", () => {
    const { seen, listener } = rig(function* () {
      yield 1
      throw new Error("a bug")
    })
    listener().bytes(Buffer.from("x"))
    listener().lost("ECONNRESET")
    expect(seen.outcome).toEqual(["defect: Error: a bug"])
  })
})
