// Descriptors from which a secret was read: they are closed, except the standard ones.
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

describe("reading standard input", () => {
  // In a process of its own, which can do without it.
  it("leaves it open", () => {
    write()
    const descriptor = path.resolve(import.meta.dirname, "../../src/keys/Descriptor.ts")
    const program = `
      import { fstatSync } from "node:fs"
      import * as Effect from "effect/Effect"
      import { read } from ${JSON.stringify(descriptor)}
      const bytes = await Effect.runPromise(read(0, { maxBytes: 100 }))
      console.log(Buffer.from(bytes).toString(), fstatSync(0).size)
    `
    const args = ["--import", "tsx", "--input-type=module", "--eval", program]
    const stdin = open()
    const stdio = [stdin, "pipe", "inherit"] as const
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8", stdio: [...stdio] })
    expect(stdout).toBe("the secret 10\n")
  })
})
