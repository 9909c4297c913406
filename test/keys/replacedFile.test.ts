// A file that replaces another: its owner and mode, and that no failure leaves a temporary file.
import { chmodSync, chownSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { rename } from "node:fs/promises"
import path from "node:path"
import { describe, expect, it } from "vitest"
import * as ReplacedFile from "../../src/keys/ReplacedFile.ts"
import * as TemporaryFile from "../../src/keys/TemporaryFile.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()
const target = (name = "file") => path.join(folder(), name)
const root = process.geteuid?.() === 0

/** Replaces the target. `step` fails at the content or at the publishing, or nowhere. */
const replace = (name: string, step?: "content" | "publish") =>
  ReplacedFile.write(target(name), {
    replaced: statSync(target(name)),
    write: async (handle) => {
      await handle.writeFile("new")
      if (step === "content") throw new Error("the disk is full")
    },
    publish: async (temporary) => {
      if (step === "publish") throw new Error("the folder is read-only")
      await rename(temporary, target(name))
    }
  })

describe("a file that is replaced", () => {
  // 85 characters in 255 bytes; a cut after 180 bytes or in the middle of a character is too long
  // or no longer UTF-8.
  it.each(["file", "字".repeat(85), `a${"字".repeat(84)}`, "é".repeat(127)])(
    "may have the name %s",
    async (name) => {
      writeFileSync(target(name), "old")
      await replace(name)
      expect(readFileSync(target(name), "utf8")).toBe("new")
      expect(readdirSync(folder())).toEqual([name])
    }
  )

  it.runIf(root)("keeps its owner, its group and its mode", async () => {
    writeFileSync(target(), "old")
    chownSync(target(), 1234, 5678)
    chmodSync(target(), 0o640)
    await replace("file")
    const { uid, gid, mode } = statSync(target())
    expect([uid, gid, mode & 0o7777]).toEqual([1234, 5678, 0o640])
  })

  it.each(["content", "publish"] as const)("stays alone if the %s fails", async (step) => {
    writeFileSync(target(), "old")
    await expect(replace("file", step)).rejects.toThrow(/full|read-only/)
    expect(readFileSync(target(), "utf8")).toBe("old")
    expect(readdirSync(folder())).toEqual(["file"])
  })
})

it("the part of a name that is kept ends with a whole character", () => {
  const stem = TemporaryFile.stemOf(`a${"字".repeat(84)}`)
  expect(stem).toBe(`a${"字".repeat(59)}`)
  expect(Buffer.byteLength(stem)).toBeLessThanOrEqual(180)
})
