// Descriptors from which a secret was read: they are closed, so that no child process inherits them,
// and no others are.
import { spawnSync } from "node:child_process"
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
    })
  )

  // In a process of its own, which can do without them.
  it("of standard input, output or error closes none", () => {
    const descriptor = path.resolve(import.meta.dirname, "../../src/keys/Descriptor.ts")
    const program = `
      import { fstatSync } from "node:fs"
      import * as Effect from "effect/Effect"
      import { closeNamedBy } from ${JSON.stringify(descriptor)}
      for (const fd of [0, 1, 2]) await Effect.runPromise(closeNamedBy("/dev/fd/" + fd))
      console.log([0, 1, 2].map((fd) => fstatSync(fd).ino > 0).join())
    `
    const args = ["--import", "tsx", "--input-type=module", "--eval", program]
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8" })
    expect(stdout).toBe("true,true,true\n")
  })
})
