// The largest of many items, beside a plain search through all of them.
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Largest } from "../../../src/services/messages/Largest.ts"
import { runs } from "../../fixtures/sample.ts"

describe("the largest item", () => {
  it.prop(
    "has the largest size after every change",
    {
      changes: FastCheck.array(FastCheck.tuple(FastCheck.nat(12), FastCheck.nat(6)), {
        maxLength: 80
      })
    },
    ({ changes }) => {
      const sizes = new Map<number, number>()
      const largest = new Largest<number>()
      for (const [item, size] of changes) {
        largest.set(item, size)
        if (size === 0) sizes.delete(item)
        else sizes.set(item, size)
        if (sizes.size === 0) expect(largest.item).toBeUndefined()
        else expect(sizes.get(largest.item as number)).toBe(Math.max(...sizes.values()))
      }
      // Every item comes out, the largest first.
      const left = [...sizes.values()].toSorted((one, other) => other - one)
      for (const size of left) {
        const item = largest.item as number
        expect(sizes.get(item)).toBe(size)
        largest.set(item, 0)
      }
      expect(largest.item).toBeUndefined()
    },
    { fastCheck: { numRuns: runs(200, 2000) } }
  )
})
