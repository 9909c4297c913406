import { runInNewContext } from "node:vm"
import { markAsUntransferable } from "node:worker_threads"
import { expect, it } from "vitest"
import { release } from "../../src/bytes/Release.ts"

it("empties large memory of its own, and leaves small, which may lie among that of others", () => {
  const large = new Uint8Array(64 * 1024)
  const view = large.subarray(7, 9)
  release(view)
  expect([large.length, view.length]).toEqual([0, 0])
  release(large)
  const small = Buffer.from("in the pool")
  release(small)
  expect(small.toString()).toBe("in the pool")
})

it("leaves what is marked as the memory of others", () => {
  const pool = new Uint8Array(64 * 1024).fill(7)
  markAsUntransferable(pool.buffer)
  release(pool.subarray(100, 200))
  expect([pool.length, pool[150]]).toEqual([64 * 1024, 7])
})

it("gives the memory back at once", () => {
  const before = process.memoryUsage().arrayBuffers
  for (let times = 0; times < 256; times++) release(new Uint8Array(2 ** 20).fill(1))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 2 ** 20)
})

it("turns on nothing in the process of who uses it", () => {
  const has = () => runInNewContext("typeof ArrayBuffer.prototype.transfer") as string
  const before = has()
  release(new Uint8Array(64 * 1024))
  expect(has()).toBe(before)
})
