import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { after, longestTimerMillis } from "../../src/bytes/timer.ts"

const day = 86_400_000

describe("a timer", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it.each([0, 1, day, longestTimerMillis, longestTimerMillis + 1, 30 * day, 999_999 * day])(
    "of %i ms fires once, and not before",
    (millis) => {
      let fired = 0
      after(millis, () => fired++)
      vi.advanceTimersByTime(Math.max(0, millis - 1))
      expect(fired).toBe(millis === 0 ? 1 : 0)
      vi.advanceTimersByTime(1)
      expect(fired).toBe(1)
      vi.advanceTimersByTime(2 * longestTimerMillis)
      expect(fired).toBe(1)
    }
  )

  it("does not fire after it was cancelled, in any part of its time", () => {
    for (const passed of [0, day, 26 * day]) {
      let fired = 0
      const cancel = after(30 * day, () => fired++)
      vi.advanceTimersByTime(passed)
      cancel()
      vi.advanceTimersByTime(40 * day)
      expect(fired).toBe(0)
    }
  })
})
