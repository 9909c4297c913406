import { runInNewContext } from "node:vm"
import { markAsUntransferable } from "node:worker_threads"
import { expect, it } from "vitest"
import { release } from "../../src/bytes/Release.ts"

it("frees large memory and leaves small, which may be in a shared pool", () => {
  const large = new Uint8Array(64 * 1024)
  const view = large.subarray(7, 9)
  release(view)
  expect([large.length, view.length]).toEqual([0, 0])
  release(large)
  const small = Buffer.from("in the pool")
  release(small)
  expect(small.toString()).toBe("in the pool")
})

it("leaves memory that is marked untransferable", () => {
  const pool = new Uint8Array(64 * 1024).fill(7)
  markAsUntransferable(pool.buffer)
  release(pool.subarray(100, 200))
  expect([pool.length, pool[150]]).toEqual([64 * 1024, 7])
})

it("frees the memory at once", () => {
  const before = process.memoryUsage().arrayBuffers
  for (let times = 0; times < 256; times++) release(new Uint8Array(2 ** 20).fill(1))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 2 ** 20)
})

it("enables no feature in the process", () => {
  const has = () => runInNewContext("typeof ArrayBuffer.prototype.transfer") as string
  const before = has()
  release(new Uint8Array(64 * 1024))
  expect(has()).toBe(before)
})
