import { expect, it } from "@effect/vitest"
import { ReplayFilter } from "../../src/channel/ReplayFilter.ts"

const message = (byte: number) => Buffer.from([byte, 0x80, 0xff])

it("remembers messages, and forgets the oldest one first", () => {
  const filter = new ReplayFilter(3)
  const isNew = (...bytes: ReadonlyArray<number>) =>
    bytes.map((byte) => filter.isNew(message(byte)))
  expect(isNew(1, 2, 3)).toEqual([true, true, true])
  expect(isNew(1, 2, 3)).toEqual([false, false, false])
  expect(isNew(4)).toEqual([true])
  // 1 was dropped for 4, and only 1.
  expect(isNew(2, 3, 4)).toEqual([false, false, false])
  expect(isNew(1)).toEqual([true])
  expect(isNew(2)).toEqual([true])
})

it("compares the message, not the memory around it", () => {
  const filter = new ReplayFilter(3)
  const memory = Buffer.from([1, 2, 3, 1, 2, 3, 4])
  expect(filter.isNew(memory.subarray(0, 3))).toBe(true)
  expect(filter.isNew(memory.subarray(3, 6))).toBe(false)
  expect(filter.isNew(memory.subarray(4, 7))).toBe(true)
})
