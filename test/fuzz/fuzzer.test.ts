// The fuzzer itself: it finds a planted failure step by step, and keeps what led there.
import { afterAll, beforeAll, expect, it } from "vitest"
import { Coverage } from "./Coverage.ts"
import { fuzz } from "./Fuzzer.ts"
import type { Target } from "./Target.ts"

let coverage: Coverage
let planted: (input: Buffer) => string

beforeAll(async () => {
  coverage = new Coverage((url) => url.includes("plantedFailure.ts"))
  planted = (await import("./plantedFailure.ts")).planted
})
afterAll(() => coverage.close())

const target = (failing: boolean): Target => ({
  maxBytes: 8,
  seeds: () => [Buffer.from("a seed")],
  run: (input) => {
    const result = planted(input)
    if (failing && result === "three") throw new Error("planted failure")
    // One outcome, so that only the coverage leads on.
    return "outcome"
  }
})

it("finds bytes that must be right one after the other, and keeps an input for each", async () => {
  const { fault, runs, corpus } = await fuzz({
    target: target(true),
    coverage,
    kept: [],
    seed: 1,
    more: (runs) => runs < 500_000
  })
  expect(String(fault?.cause)).toBe("Error: planted failure")
  expect(fault?.input.subarray(0, 3).toString("latin1")).toBe("SL\xff")
  // Random bytes would need 2^24 runs.
  expect(runs).toBeLessThan(500_000)
  const reached = new Set(corpus.map((input) => planted(input)))
  for (const step of ["one", "two"]) expect(reached).toContain(step)
})

it("keeps a small set that reaches the same code", async () => {
  coverage.forget()
  const kept = ["S", "SL", "SL", "SLW", "SLx", "Sx", "x", "y"].map((text) => Buffer.from(text))
  const { corpus, fault } = await fuzz({
    target: target(false),
    coverage,
    kept,
    seed: 1,
    more: () => false
  })
  expect(fault).toBeUndefined()
  expect(corpus.map((input) => planted(input))).toHaveLength(3)
  expect(new Set(corpus.map((input) => planted(input)))).toEqual(new Set(["none", "one", "two"]))
})
