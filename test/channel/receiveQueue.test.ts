import { expect, it } from "@effect/vitest"
import { Control, ReceiveQueue } from "../../src/channel/ChannelItem.ts"

it("counts the memory of its items: the whole record of each, and an object", () => {
  const queue = new ReceiveQueue()
  const record = new Uint8Array(1000)
  queue.push(record.subarray(3, 10))
  expect([queue.length, queue.bytes]).toEqual([1, 1256])
  queue.push(new Control(new Uint8Array(50).subarray(1)))
  expect([queue.length, queue.bytes]).toEqual([2, 1256 + 306])
  expect(queue.shift()).toEqual(record.subarray(3, 10))
  expect([queue.length, queue.bytes]).toEqual([1, 306])
  queue.shift()
  expect([queue.length, queue.bytes]).toEqual([0, 0])
  expect(queue.shift()).toBeUndefined()
  expect(queue.bytes).toBe(0)
  queue.push(record)
  queue.clear()
  expect([queue.length, queue.bytes]).toEqual([0, 0])
})
