// Which temporary files are removed: those of dead processes of this machine and user, and no
// others.
import { chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it, vi } from "vitest"
import * as TemporaryFile from "../../src/keys/TemporaryFile.ts"
import { folderOfEachTest } from "../fixtures/folder.ts"

const folder = folderOfEachTest()
const target = () => path.join(folder(), "key")

/** A process number that is not in use: above the maximum of Linux. */
const deadPid = 4_194_305
const [, , host = "", pid = "", start = "", end = ""] =
  /^(\.key\.)([0-9a-f]{8})-(\d+)-(\d+)(\.[0-9a-f]{16}\.tmp)$/.exec(
    path.basename(TemporaryFile.nameFor("/tmp/key"))
  ) ?? []

const left = async (names: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  for (const name of names) writeFileSync(path.join(folder(), name), "half")
  await TemporaryFile.removeStale(target())
  return readdirSync(folder()).toSorted()
}

it("the name of a temporary file tells its process", () => {
  expect([host.length, pid, end.length]).toEqual([8, String(process.pid), 21])
})

describe("a temporary file", () => {
  it("of a dead process is removed", async () => {
    expect(await left([`.key.${host}-${deadPid}-5${end}`])).toEqual([])
  })

  it.skipIf(process.platform !== "linux")(
    "of an earlier process with the number of a running one is removed",
    async () => {
      expect(await left([`.key.${host}-${pid}-${Number(start) - 1}${end}`])).toEqual([])
      const own = `.key.${host}-${pid}-${start}${end}`
      expect(await left([own])).toEqual([own])
    }
  )

  it("of a running process of another user stays", async () => {
    const name = `.key.${host}-${deadPid}-5${end}`
    const kill = vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("not permitted"), { code: "EPERM" })
    })
    try {
      expect(await left([name])).toEqual([name])
    } finally {
      kill.mockRestore()
    }
  })

  it("of another machine stays: its processes are not known here", async () => {
    const other = host === "01234567" ? "76543210" : "01234567"
    const name = `.key.${other}-${deadPid}-5${end}`
    expect(await left([name])).toEqual([name])
  })

  it("of another target, or with another form of name, stays", async () => {
    const names = [
      `.kez.${host}-${deadPid}-5${end}`,
      `.key.${host}-${deadPid}-5.tmp`,
      `.key.${host}-${deadPid}${end}`,
      "key"
    ].toSorted()
    expect(await left(names)).toEqual(names)
  })

  it("that is a folder, or a file of another user, stays", async (context) => {
    mkdirSync(path.join(folder(), `.key.${host}-${deadPid}-6${end}`))
    expect((await left([])).length).toBe(1)
    if (process.getuid?.() !== 0) return context.skip("only root can give a file away")
    const foreign = path.join(folder(), `.key.${host}-${deadPid}-7${end}`)
    writeFileSync(foreign, "half")
    chownSync(foreign, 65534, 65534)
    expect((await left([])).length).toBe(2)
    expect(readFileSync(foreign, "utf8")).toBe("half")
  })

  it("has a name of at most 255 bytes, for a target of any name", () => {
    const name = path.basename(TemporaryFile.nameFor(path.join(folder(), "x".repeat(255))))
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255)
  })
})
