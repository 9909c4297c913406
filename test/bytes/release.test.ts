import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { createServer, connect } from "node:net"
import { once } from "node:events"
import { runInNewContext } from "node:vm"
import { markAsUntransferable } from "node:worker_threads"
import { afterEach, expect, it } from "vitest"
import { discard, own, release } from "../../src/bytes/Release.ts"

const { poolSize } = Buffer

/** Sets the size of Buffer's pool, and uses up the pool that there is. */
const setPoolSize = (bytes: number) => {
  Buffer.poolSize = bytes
  while (Buffer.allocUnsafe((bytes >>> 1) - 1).buffer.byteLength !== bytes);
}
afterEach(() => setPoolSize(poolSize))

it("frees large memory that it owns, through any view, and leaves small memory", () => {
  const large = own(new Uint8Array(64 * 1024))
  const view = large.subarray(7, 9)
  release(view)
  expect([large.length, view.length]).toEqual([0, 0])
  release(large)
  const small = own(Buffer.from("in the pool"))
  release(small)
  expect(small.toString()).toBe("in the pool")
})

it("leaves a buffer of the caller, of any size", () => {
  for (const length of [1, 16 * 1024, 64 * 1024, 2 ** 20]) {
    const mine = new Uint8Array(length).fill(7)
    release(mine)
    release(mine.subarray(0, 1))
    expect([mine.length, mine.at(-1)]).toEqual([length, 7])
  }
})

it("frees what it owns once: memory that has been freed is nobody's", () => {
  const large = own(new Uint8Array(64 * 1024))
  release(large)
  expect(() => release(large)).not.toThrow()
  const next = new Uint8Array(64 * 1024).fill(7)
  release(next)
  expect(next.at(-1)).toBe(7)
})

it("discards whole memory of any size from 16 KiB on, and no part of it", () => {
  const large = new Uint8Array(64 * 1024).fill(7)
  discard(large.subarray(1))
  expect(large.at(-1)).toBe(7)
  discard(large)
  expect(large.length).toBe(0)
  const small = new Uint8Array(1024).fill(7)
  discard(small)
  expect(small.at(-1)).toBe(7)
})

it.each([8 * 1024, 64 * 1024, 2 ** 20])("leaves a shared pool of %s bytes", (bytes) => {
  setPoolSize(bytes)
  const neighbour = Buffer.from("a neighbour in the pool")
  const pooled = Buffer.concat([Buffer.alloc(100, 7), Buffer.alloc(100, 8)])
  expect(pooled.buffer).toBe(neighbour.buffer)
  expect(pooled.buffer.byteLength).toBe(bytes)
  release(own(pooled))
  expect([pooled.length, pooled[150], neighbour.toString()]).toEqual([
    200,
    8,
    "a neighbour in the pool"
  ])
})

it("leaves memory that is marked untransferable, because its bytes share it", () => {
  const pool = new Uint8Array(64 * 1024).fill(7)
  markAsUntransferable(pool.buffer)
  release(own(pool.subarray(100, 200)))
  expect([pool.length, pool[150]]).toEqual([64 * 1024, 7])
})

it("frees the memory at once", () => {
  const before = process.memoryUsage().arrayBuffers
  for (let times = 0; times < 256; times++) release(own(new Uint8Array(2 ** 20).fill(1)))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 2 ** 20)
})

it.each([poolSize, 2 ** 20])(
  "what a cipher returns and a socket reads has memory of its own, with a pool of %s bytes",
  async (bytes) => {
    setPoolSize(bytes)
    const [key, iv, length] = [randomBytes(32), randomBytes(12), 40_000]
    const plaintext = Buffer.alloc(length, 7)
    const encrypted = createCipheriv("aes-256-gcm", key, iv).update(plaintext)
    const decrypted = createDecipheriv("aes-256-gcm", key, iv).update(encrypted)
    for (const made of [encrypted, decrypted]) {
      expect([made.byteOffset, made.buffer.byteLength]).toEqual([0, length])
      release(own(made))
      expect(made.length).toBe(0)
    }
    expect(plaintext.at(-1)).toBe(7)
    const server = createServer((socket) => socket.end(plaintext)).listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as { readonly port: number }
    const socket = connect(port, "127.0.0.1")
    for await (const chunk of socket as AsyncIterable<Buffer>)
      if (chunk.length >= 16 * 1024)
        expect([chunk.byteOffset, chunk.buffer.byteLength]).toEqual([0, chunk.length])
    server.close()
  }
)

it("enables no feature in the process", () => {
  const has = () => runInNewContext("typeof ArrayBuffer.prototype.transfer") as string
  const before = has()
  release(own(new Uint8Array(64 * 1024)))
  expect(has()).toBe(before)
})
