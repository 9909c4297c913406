// The lists of mutants fit the sources and the tests, so that they cannot rot unnoticed.
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { mutate } from "../../scripts/mutants/Mutant.ts"
import { rooms } from "../../scripts/mutants/index.ts"

const root = path.resolve(import.meta.dirname, "../..")

it("there are mutants of every room that has a list", () => {
  expect(Object.keys(rooms).toSorted()).toEqual([
    "bytes",
    "channel",
    "files",
    "inbox",
    "keys",
    "noise",
    "peers",
    "services",
    "sql",
    "transfer",
    "transports"
  ])
  expect(Object.values(rooms).flat().length).toBeGreaterThanOrEqual(300)
})

describe.each(Object.entries(rooms))("each mutant of %s", (_, mutants) => {
  it("replaces text that occurs exactly once", () => {
    for (const mutant of mutants)
      expect(mutate(readFileSync(path.join(root, mutant.file), "utf8"), mutant)).toContain(
        mutant.replacement
      )
  })

  it("names test files that exist, or the reason why no test can fail", () => {
    for (const { id, tests, equivalent } of mutants) {
      expect([id, tests.length > 0]).toEqual([id, true])
      expect([id, tests.filter((test) => !existsSync(path.join(root, test)))]).toEqual([id, []])
      if (equivalent !== undefined) expect([id, equivalent.length > 20]).toEqual([id, true])
    }
  })

  it("differs from the others", () => {
    const texts = mutants.map(
      ({ file, original, replacement }) => `${file}\n${original}\n${replacement}`
    )
    expect(new Set(texts).size).toBe(texts.length)
  })
})

it("a list that has rotted is an error that names the mutant", () => {
  const [mutant] = Object.values(rooms).flat()
  if (mutant === undefined) throw new Error("no mutants")
  expect(() => mutate("", mutant)).toThrow(`${mutant.id}: its original occurs 0 times`)
  expect(() => mutate(mutant.original.repeat(2), mutant)).toThrow("occurs 2 times")
})
