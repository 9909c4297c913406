// Directories are opened name by name and never through a link, and few stay open.
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { limits } from "../../../src/services/transfer/limits.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()
let directories: SafeDirectories
beforeEach(() => {
  mkdirSync(path.join(folder(), "top"))
  mkdirSync(path.join(folder(), "outside"))
  directories = new SafeDirectories(path.join(folder(), "top"))
})
afterEach(() => directories.close())
const inTop = (name: string) => path.join(folder(), "top", name)
const local = (text: string) => SafePath.local(text) ?? SafePath.root

it("a link on the way is not followed, wherever it leads", () => {
  mkdirSync(inTop("real"))
  symlinkSync("../outside", inTop("out"))
  symlinkSync("real", inTop("in"))
  writeFileSync(inTop("file"), "")
  for (const name of ["out", "in", "out/x", "in/x"])
    expect(() => directories.get(local(name))).toThrow(/ENOTDIR|ELOOP/)
  expect(() => directories.get(local("file"))).toThrow("ENOTDIR")
  expect(() => directories.get(local("none"))).toThrow("ENOENT")
  expect(directories.get(local("real")).path).toBe(inTop("real"))
})

it("a directory is made once, and a link or file in its place is an error", () => {
  expect(directories.ensure(local("new"), 0o700)).toBe(true)
  expect(statSync(inTop("new")).mode & 0o777).toBe(0o700)
  expect(directories.ensure(local("new"), 0o700)).toBe(false)
  symlinkSync("../outside", inTop("out"))
  writeFileSync(inTop("file"), "")
  for (const name of ["out", "file"])
    expect(() => directories.ensure(local(name), 0o700)).toThrow(/ENOTDIR|ELOOP/)
  expect(readdirSync(path.join(folder(), "outside"))).toEqual([])
})

it("few directories stay open, and one that is in use among them", () => {
  const count = () => readdirSync("/proc/self/fd").length
  const names = Array.from({ length: limits.openDirectories + 20 }, (_, index) => `d${index}`)
  for (const name of names) directories.ensure(local(name), 0o700)
  const before = count()
  const pinned = directories.get(local("d0"))
  pinned.pins++
  for (const name of names) directories.get(local(name))
  expect(count() - before).toBeLessThanOrEqual(limits.openDirectories + 1)
  // Still open: its descriptor is that of the directory.
  writeFileSync(pinned.pathOf("file"), "")
  expect(readdirSync(inTop("d0"))).toEqual(["file"])
  expect(directories.get(local("d0"))).toBe(pinned)
  pinned.pins--
})
