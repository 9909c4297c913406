// The model of a power cut: it loses what was not flushed, in every combination, and nothing else.
import { mkdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { folderOfEachTest } from "../fixtures/folder.ts"
import { coin, Disk, type Files } from "./PowerCut.ts"
import type { Change, Step } from "./Trace.ts"

const folder = folderOfEachTest()
const at = (name: string) => path.join(folder(), name)

/** Each change begins and ends before the next one. */
const inTurn = (changes: ReadonlyArray<Change>): ReadonlyArray<Step> =>
  changes.flatMap((change) => [
    { time: 0, begins: change },
    { time: 0, ends: change }
  ])

/** The texts of a file after many cuts behind the last step: "-" where it is lost. */
const outcomes = (steps: ReadonlyArray<Step>, name: string): ReadonlyArray<string> => {
  const disk = new Disk(folder())
  for (const step of steps) disk.apply(step)
  const shown = (files: Files) => {
    const found = files.get(name)
    return found === undefined ? "-" : found instanceof Buffer ? found.toString() : "there"
  }
  return [
    ...new Set(Array.from({ length: 200 }, (_, seed) => shown(disk.cut(coin(seed)))))
  ].toSorted()
}

const create = (name: string): Change => ({ kind: "create", path: at(name) })
const write = (name: string, text: string, position = 0): Change => ({
  kind: "write",
  path: at(name),
  at: position,
  bytes: Buffer.from(text)
})
const sync = (name: string): Change => ({ kind: "sync", path: at(name) })
const link = (from: string, to: string): Change => ({ kind: "link", from: at(from), path: at(to) })
const rename = (from: string, to: string): Change => ({
  kind: "rename",
  from: at(from),
  path: at(to)
})
const unlink = (name: string): Change => ({ kind: "unlink", path: at(name) })
const whole = () => [
  create("part"),
  write("part", "a"),
  write("part", "b", 1),
  sync("part"),
  link("part", "file"),
  unlink("part"),
  sync(".")
]

describe("a file", () => {
  it("whose content, name and folder are flushed in this order is there", () => {
    expect(outcomes(inTurn(whole()), "file")).toEqual(["ab"])
    expect(outcomes(inTurn(whole()), "part")).toEqual(["-"])
  })

  it.each<readonly [string, (changes: ReadonlyArray<Change>) => ReadonlyArray<Change>, unknown]>([
    ["that was not flushed", (all) => all.toSpliced(3, 1), ["", "\0b", "a", "ab"]],
    ["whose folder was not flushed", (all) => all.slice(0, -1), ["-", "ab"]],
    [
      "that was flushed before its last write",
      ([made, one, two, flush, ...rest]) => [made, one, flush, two, ...rest] as Array<Change>,
      ["a", "ab"]
    ],
    [
      "whose folder was flushed before its name",
      (all) => [...all.slice(0, 4), sync("."), ...all.slice(4, -1)],
      ["-", "ab"]
    ]
  ])("%s may be lost", (_, change, expected) => {
    expect(outcomes(inTurn(change(whole())), "file")).toEqual(expected)
  })

  it("that is replaced in one step is the old or the new one", () => {
    writeFileSync(at("file"), "old")
    const replace = [create("new"), write("new", "new"), sync("new"), rename("new", "file")]
    expect(outcomes(inTurn(replace), "file")).toEqual(["new", "old"])
    expect(outcomes(inTurn([...replace, sync(".")]), "file")).toEqual(["new"])
    expect(outcomes(inTurn(replace.toSpliced(2, 1)), "file")).toEqual(["", "new", "old"])
  })

  it("that is written while it is flushed may be lost", () => {
    const [flush, during] = [sync("file"), write("file", "b", 1)]
    const steps: ReadonlyArray<Step> = [
      ...inTurn([create("file"), sync("."), write("file", "a")]),
      { time: 0, begins: flush },
      ...inTurn([during]),
      { time: 0, ends: flush }
    ]
    expect(outcomes(steps, "file")).toEqual(["a", "ab"])
    // One whose flush has not ended is not flushed.
    expect(outcomes(steps.slice(0, -1), "file")).toEqual(["", "\0b", "a", "ab"])
  })

  it("in a folder whose own name was not flushed is lost with it", () => {
    const inside: ReadonlyArray<Change> = [
      { kind: "mkdir", path: at("sub") },
      create("sub/file"),
      write("sub/file", "text"),
      sync("sub/file"),
      sync("sub")
    ]
    expect(outcomes(inTurn(inside), "sub/file")).toEqual(["-", "text"])
    expect(outcomes(inTurn([...inside, sync(".")]), "sub/file")).toEqual(["text"])
  })

  it("that was there before is there, also in a folder", () => {
    mkdirSync(at("sub"))
    writeFileSync(at("sub/file"), "text")
    expect(outcomes([], "sub/file")).toEqual(["text"])
  })
})
