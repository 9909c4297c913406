import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { FrameBuffer } from "../../src/bytes/FrameBuffer.ts"

const limit = 100

/** Cuts bytes into chunks of the given sizes, each in memory of its own; the last has the rest. */
const cut = (bytes: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const chunks: Array<Buffer> = []
  let at = 0
  for (const size of [...sizes, bytes.length]) {
    chunks.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return chunks
}

const operation = FastCheck.record({
  kind: FastCheck.constantFrom(...(["need", "take", "takeUpTo", "has"] as const)),
  count: FastCheck.nat(limit)
})

describe("FrameBuffer", () => {
  it.prop(
    "returns the bytes of the stream in order, for any chunks and any requests",
    {
      stream: FastCheck.uint8Array({ maxLength: 400 }),
      sizes: FastCheck.array(FastCheck.nat(60), { maxLength: 12 }),
      operations: FastCheck.array(operation, { maxLength: 40 })
    },
    ({ stream, sizes, operations }) => {
      const buffer = new FrameBuffer(limit)
      const chunks = [...cut(stream, sizes)]
      const appended: Array<Buffer> = []
      let consumed = 0
      let available = 0
      const returned: Array<{ readonly bytes: Buffer; readonly at: number }> = []
      const expectBytes = (bytes: Buffer, at: number) => {
        expect(bytes.equals(stream.subarray(at, at + bytes.length))).toBe(true)
        returned.push({ bytes, at })
      }
      const append = () => {
        const chunk = chunks.shift()
        if (chunk === undefined) return
        buffer.append(chunk)
        appended.push(chunk)
        available += chunk.length
      }
      for (const { kind, count } of operations) {
        const unread = available - consumed
        expect(buffer.length).toBe(unread)
        if (kind === "takeUpTo") {
          const bytes = buffer.takeUpTo(count)
          expect(bytes.length).toBeLessThanOrEqual(Math.min(count, unread))
          expect(bytes.length > 0).toBe(count > 0 && unread > 0)
          expectBytes(bytes, consumed)
          consumed += bytes.length
        } else if (kind === "has") expect(buffer.has(count)).toBe(unread >= count)
        else {
          const bytes = buffer[kind](count)
          expect(bytes?.length).toBe(unread >= count ? count : undefined)
          if (bytes !== undefined) expectBytes(bytes, consumed)
          if (bytes !== undefined && kind === "take") consumed += count
        }
        if (available - consumed < count) append()
      }
      for (const { bytes, at } of returned)
        expect(bytes.equals(stream.subarray(at, at + bytes.length))).toBe(true)
    }
  )

  it.prop(
    "refers to no chunk once it has reported missing bytes",
    { first: FastCheck.uint8Array({ minLength: 1, maxLength: 50 }), count: FastCheck.nat(50) },
    ({ first, count }) => {
      const buffer = new FrameBuffer(limit)
      const chunk = Buffer.from(first)
      buffer.append(chunk)
      const missing = first.length + 1 + count
      FastCheck.pre(missing <= limit)
      expect(buffer.take(missing)).toBeUndefined()
      chunk.fill(0xff)
      buffer.append(Buffer.alloc(missing - first.length))
      expect(buffer.take(missing)?.subarray(0, first.length).equals(first)).toBe(true)
    }
  )

  it("returns views of the chunk, and copies only the frame that spans two", () => {
    const buffer = new FrameBuffer(limit)
    const [one, two] = [Buffer.alloc(50, 1), Buffer.alloc(50, 2)]
    buffer.append(one)
    expect(buffer.take(30)?.buffer).toBe(one.buffer)
    expect(buffer.take(30)).toBeUndefined()
    buffer.append(two)
    const spanning = buffer.take(30)
    expect(spanning?.equals(Buffer.concat([one.subarray(30), two.subarray(0, 10)]))).toBe(true)
    expect(spanning?.buffer).not.toBe(two.buffer)
    expect(buffer.take(30)?.buffer).toBe(two.buffer)
    expect(buffer.length).toBe(10)
  })

  it("throws when asked for more than its limit", () => {
    const buffer = new FrameBuffer(limit)
    expect(buffer.has(limit)).toBe(false)
    expect(() => buffer.has(limit + 1)).toThrow(RangeError)
  })
})
