// HandshakeDriver: each step gets exactly the bytes that it asked for, however they arrive, and the
// rest stays in the flow.
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as FiberId from "effect/FiberId"
import { HandshakeDriver, LookUp, type Steps } from "../../src/channel/HandshakeDriver.ts"
import type { Flow, FlowListener } from "../../src/transports/Connection.ts"

/** A flow of the test, and what the driver did with it. */
const rig = (steps: () => Steps<string>) => {
  let listener: FlowListener | undefined
  const seen = { outcome: [] as Array<string>, unread: "", paused: [] as Array<boolean> }
  const flow = {
    start: (given: FlowListener) => (listener = given),
    stop: (unread: Uint8Array) => (seen.unread = Buffer.from(unread).toString()),
    pause: () => seen.paused.push(true),
    resume: () => seen.paused.push(false)
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

describe("a look-up of a handshake", () => {
  /** Steps that look up a name between two reads. */
  const rigWith = (effect: Effect.Effect<string>) =>
    rig(function* () {
      const first = Buffer.from(yield 2).toString()
      const lookUp = new LookUp(effect)
      yield lookUp
      const second = Buffer.from(yield 2).toString()
      return `${first}|${lookUp.result}|${second}`
    })
  const answer = () => Deferred.unsafeMake<string>(FiberId.none)

  it("holds every byte that arrives during it, in order", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.integer({ min: 2, max: 7 }),
        FastCheck.integer({ min: 1, max: 3 }),
        async (before, cut) => {
          const found = answer()
          const { seen, listener } = rigWith(Deferred.await(found))
          const bytes = Buffer.from("abcd-rest")
          listener().bytes(bytes.subarray(0, before))
          // Chunks that were read before the pause are still delivered.
          for (let at = before; at < bytes.length; at += cut)
            listener().bytes(bytes.subarray(at, at + cut))
          expect([seen.outcome, seen.paused]).toEqual([[], [true]])
          Deferred.unsafeDone(found, Effect.succeed("alice"))
          await new Promise((done) => setImmediate(done))
          expect(seen).toEqual({
            outcome: ["done: ab|alice|cd"],
            unread: "-rest",
            paused: [true, false]
          })
        }
      )
    ))

  it("that has its result at once needs no wait", () => {
    const { seen, listener } = rigWith(Effect.succeed("alice"))
    listener().bytes(Buffer.from("abcd"))
    expect(seen.outcome).toEqual(["done: ab|alice|cd"])
  })

  it("that dies is a defect", () => {
    const { seen, listener } = rigWith(Effect.die("a bug"))
    listener().bytes(Buffer.from("ab"))
    expect(seen.outcome).toEqual(["defect: a bug"])
  })

  it.each(["lost", "canceled"])("is interrupted when the connection is %s", async (how) => {
    let interrupted = 0
    const found = answer()
    const { seen, driver, listener } = rigWith(
      Effect.onInterrupt(Deferred.await(found), () => Effect.sync(() => interrupted++))
    )
    listener().bytes(Buffer.from("ab"))
    if (how === "lost") listener().lost("ECONNRESET")
    else driver.cancel()
    await new Promise((done) => setTimeout(done, 5))
    Deferred.unsafeDone(found, Effect.succeed("alice"))
    await new Promise((done) => setTimeout(done, 5))
    expect([interrupted, seen.outcome]).toEqual([
      1,
      how === "lost" ? ["done: it closed the connection"] : []
    ])
  })
})
