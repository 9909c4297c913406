// Descriptors from which a secret was read: they are closed, so that no child process inherits them,
// and no others are.
import { closeSync, fstatSync, openSync, writeFileSync } from "node:fs"
import path from "node:path"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Descriptor from "../../src/keys/Descriptor.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()
const opened: Array<number> = []
const open = () => {
  const fd = openSync(path.join(folder(), "secret"), "r")
  opened.push(fd)
  return fd
}
const isOpen = (fd: number) => {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}
afterEach(() => {
  for (const fd of opened.splice(0)) if (isOpen(fd)) closeSync(fd)
})
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const write = () => writeFileSync(path.join(folder(), "secret"), "the secret")

describe("reading a descriptor", () => {
  it.effect("of a file closes it, and returns one byte more than the limit", () =>
    Effect.gen(function* () {
      write()
      for (const [maxBytes, expected] of [
        [100, "the secret"],
        [10, "the secret"],
        [9, "the secret"],
        [2, "the"]
      ] as const) {
        const fd = open()
        expect(text(yield* Descriptor.read(fd, { maxBytes }))).toBe(expected)
        expect(isOpen(fd)).toBe(false)
      }
    })
  )
})

describe("a path that names a descriptor", () => {
  it.effect("of this process closes it", () =>
    Effect.gen(function* () {
      write()
      for (const prefix of [
        "/dev/fd",
        "/proc/self/fd",
        "/proc/thread-self/fd",
        `/proc/${process.pid}/fd`
      ]) {
        const fd = open()
        yield* Descriptor.closeNamedBy(`${prefix}/${fd}`)
        expect([prefix, isOpen(fd)]).toEqual([prefix, false])
      }
    })
  )

  it.effect("of another process closes none, nor does any other path", () =>
    Effect.gen(function* () {
      write()
      const fd = open()
      for (const other of [
        `/proc/1/fd/${fd}`,
        `/proc/${process.pid}0/fd/${fd}`,
        `/dev/fd/${fd}/x`,
        `/tmp/dev/fd/${fd}`,
        `/dev/fd/x${fd}`,
        `./${fd}`
      ]) {
        yield* Descriptor.closeNamedBy(other)
        expect([other, isOpen(fd)]).toEqual([other, true])
      }
      yield* Descriptor.closeNamedBy("/dev/fd/2")
      expect(isOpen(2)).toBe(true)
    })
  )
})
