// The benchmark's own arithmetic: ratios, floors, the history, and the tables of the documents.
import { readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { replaceTable, tableOf } from "../../scripts/bench/documents.ts"
import { floors } from "../../scripts/bench/floors.ts"
import * as History from "../../scripts/bench/history.ts"
import { describe as describeMachine, usedProcessors } from "../../scripts/bench/machine.ts"
import { parse } from "../../scripts/bench/options.ts"
import {
  run,
  type Contestant,
  type Figure,
  type Result,
  type Row
} from "../../scripts/bench/Row.ts"
import { rows } from "../../scripts/bench/rows.ts"
import { line } from "../../scripts/bench/table.ts"
import { verdictOf } from "../../scripts/bench/verdict.ts"
import { runtimes } from "../../scripts/matrix/runtimes.ts"

const root = path.resolve(import.meta.dirname, "../..")
const document = (file: string) => readFileSync(path.join(root, file), "utf8")

const positive = FastCheck.double({ min: 0.001, max: 1000, noNaN: true })
const better = FastCheck.constantFrom("higher" as const, "lower" as const)

/** A contestant whose measurements are these numbers, after one for the warm-up. */
const measuring = (name: string, numbers: ReadonlyArray<number>): Contestant => {
  let next = -1
  return { name, measure: async () => [numbers[next++] ?? 0] }
}

const rowOf = (figure: Partial<Figure>, row: Partial<Row>): Row => ({
  figures: [{ name: "row", unit: "s", better: "lower", ...figure }],
  rounds: 3,
  contestants: [],
  ...row
})

const measured = (result: Result | undefined) => {
  if (result === undefined || "absent" in result) throw new Error("no figure")
  return result
}

describe("the floors", () => {
  it("are about rows and contestants that exist", () => {
    const contestants = new Map(
      rows.flatMap(({ figures, contestants }) =>
        figures.map(({ name }) => [name, contestants.map((each) => each.name)] as const)
      )
    )
    for (const [row, { ratios = {} }] of Object.entries(floors))
      for (const name of Object.keys(ratios)) expect(contestants.get(row)).toContain(name)
    for (const row of Object.keys(floors)) expect([...contestants.keys()]).toContain(row)
  })

  it("belong to rows whose names differ", () => {
    const names = rows.flatMap(({ figures }) => figures.map(({ name }) => name))
    expect(new Set(names).size).toBe(names.length)
    for (const { contestants } of rows)
      expect(new Set(contestants.map(({ name }) => name)).size).toBe(contestants.length)
  })

  it.prop("are reached from the floor on, and not below", { by: positive }, ({ by }) => {
    const [row = ""] = Object.keys(floors)
    const [[contestant = "", floor = 0] = []] = Object.entries(floors[row]?.ratios ?? {})
    const result = { row, contestant, unit: "", better: "higher", median: 1, least: 1, most: 1 }
    const verdict = (ratio: number) => verdictOf({ ...result, ratio } as Result, false)
    expect(verdict(floor)?.ok).toBe(true)
    expect(verdict(floor + by)?.ok).toBe(true)
    expect(verdict(floor - by)?.ok).toBe(false)
    expect(line({ ...result, ratio: floor - by } as Result, false, undefined)).toContain(
      "| below |"
    )
  })

  it.prop("of our own figures hold up to the bound", { by: positive }, ({ by }) => {
    for (const [row, { most, least }] of Object.entries(floors)) {
      const verdict = (median: number) =>
        verdictOf(
          { row, contestant: "sealwire", unit: "", better: "lower", median, least: 0, most: 0 },
          true
        )
      if (most !== undefined)
        expect([most, most - by, most + by].map((figure) => verdict(figure)?.ok)).toEqual([
          true,
          true,
          false
        ])
      if (least !== undefined)
        expect([least, least - by, least + by].map((figure) => verdict(figure)?.ok)).toEqual([
          true,
          false,
          true
        ])
    }
  })
})

describe("a row", () => {
  it("has a ratio above 1 where the first contestant is better, of the same round", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        better,
        FastCheck.array(positive, { minLength: 3, maxLength: 3 }),
        positive,
        async (better, ours, factor) => {
          const theirs = ours.map((number) => number * factor)
          const ratio = async (isGrowth?: true) => {
            const contestants = [measuring("ours", ours), measuring("theirs", theirs)]
            const row = rowOf({ better }, { contestants, ...(isGrowth && { isGrowth }) })
            return measured((await run(row))[1]).ratio ?? 0
          }
          const expected = better === "lower" ? factor : 1 / factor
          expect((await ratio()) / expected).toBeCloseTo(1, 6)
          // Of growth: the part of the first size's speed that the second keeps.
          expect((await ratio(true)) * expected).toBeCloseTo(1, 6)
        }
      )
    ))

  it("names contestants that are missing or fail, and goes on with the others", async () => {
    let stopped = 0
    const failing: Contestant = {
      name: "failing",
      measure: async () => {
        throw new Error("deliberate")
      },
      stop: async () => void stopped++
    }
    const missing = { ...measuring("missing", []), missing: () => "not installed: x" }
    const contestants = [
      measuring("ours", [1, 2, 3]),
      missing,
      failing,
      measuring("last", [4, 4, 4])
    ]
    const results = await run(rowOf({}, { contestants }))
    expect(results).toMatchObject([
      { contestant: "ours", median: 2, least: 1, most: 3 },
      { contestant: "missing", absent: "not installed: x" },
      { contestant: "failing", absent: "failed: deliberate" },
      { contestant: "last", median: 4, ratio: 2 }
    ])
    expect(stopped).toBe(1)
    for (const result of results.slice(1, 3))
      expect(line(result, false, undefined)).toContain("absent" in result ? result.absent : "?")
  })

  it("has no ratios when its first contestant is missing", async () => {
    const contestants = [
      { ...measuring("ours", []), missing: () => "no" },
      measuring("theirs", [1, 1, 1])
    ]
    expect(measured((await run(rowOf({}, { contestants })))[1]).ratio).toBeUndefined()
  })
})

describe("the history", () => {
  const entry = (change: Partial<History.Entry>): History.Entry =>
    ({
      at: "2026-01-01",
      commit: "1",
      node: "20.1.0",
      cpus: "",
      isQuiet: true,
      row: "row",
      contestant: "theirs",
      unit: "s",
      better: "lower",
      median: 1,
      least: 1,
      most: 1,
      ...change
    }) as History.Entry

  it.prop("shows a change for the worse as negative", { better, factor: positive }, (given) => {
    const { better, factor } = given
    const [ours, compared] = [entry({ better }), entry({ better, ratio: 2 })]
    const change = History.changeSince(ours, { ...measured(ours), median: factor }) ?? Number.NaN
    expect(change + 1).toBeCloseTo(better === "higher" ? factor : 1 / factor, 9)
    // A ratio counts and not the figure, which depends on the machine.
    expect(
      History.changeSince(compared, { ...measured(compared), median: factor, ratio: 1 })
    ).toBeCloseTo(-0.5, 9)
  })

  it("compares with the last entry of the same figure and major version of Node", () => {
    const history = [
      entry({ commit: "old" }),
      entry({ commit: "last", node: "20.9.9" }),
      entry({ commit: "on a busy machine", isQuiet: false }),
      entry({ commit: "busy, and alone", node: "24.0.0", isQuiet: false }),
      entry({ commit: "other node", node: "22.0.0" }),
      entry({ commit: "other row", row: "another" }),
      entry({ commit: "other contestant", contestant: "ours" })
    ]
    const last = (node: string) =>
      History.lastOf(history, { row: "row", contestant: "theirs" }, node)?.commit
    expect([last("20.20.2"), last("22.1.0"), last("24.0.0")]).toEqual([
      "last",
      "other node",
      "busy, and alone"
    ])
    expect(History.lastOf([], { row: "row", contestant: "theirs" }, "20.0.0")).toBeUndefined()
  })

  it("that is committed is readable, and knows its machine", () => {
    for (const { at, node, cpus, row, contestant } of History.read()) {
      expect(at).toMatch(/^\d{4}-\d\d-\d\d$/)
      expect(node).toMatch(/^\d+\.\d+\.\d+$/)
      expect([cpus, row, contestant].every((text) => text !== "")).toBe(true)
    }
  })

  it("fills the tables of the documents, and leaves the rest", () => {
    const history = [
      entry({ contestant: "sealwire", median: 3 }),
      entry({ contestant: "age", ratio: 1 }),
      entry({ contestant: "sealwire", median: 5 }),
      entry({ contestant: "age", ratio: 1.5 })
    ]
    const table = tableOf(history, ["row", "unknown"], "20")
    expect(table.split("\n").at(-1)).toBe("| row | 5.00 s | age 1.50x |")
    expect(table.split("\n").length).toBe(3)
    for (const file of ["README.md", "docs/explanation/speed.md"]) {
      const text = document(file)
      const replaced = replaceTable(text, table)
      expect(replaced).toContain(table)
      expect(replaceTable(replaced, "")).toBe(replaceTable(text, ""))
    }
    expect(() => replaceTable("no marks", table)).toThrow(/no table to replace/)
  })
})

describe("the arguments", () => {
  it("choose rows, a version of Node and options", () => {
    expect(
      parse(["bulk", "--node", "22,24", "--quick", "--node-option=--cpu-prof", "push"])
    ).toEqual({
      filters: ["bulk", "push"],
      node: ["22", "24"],
      nodeOptions: ["--cpu-prof"],
      quick: true,
      json: false,
      record: false,
      tables: false
    })
    expect(parse(["--fast"])).toMatch(/unknown option --fast/)
  })

  it("offer the versions of Node of the matrix", () => {
    for (const version of ["20", "22", "24"])
      expect(runtimes.map(({ name }) => name)).toContain(`node${version}`)
  })
})

it.prop(
  "the busy processors are those of the time between",
  {
    busy: FastCheck.nat(1000),
    idle: FastCheck.integer({ min: 1, max: 1000 }),
    cpus: FastCheck.integer({ min: 1, max: 64 })
  },
  ({ busy, idle, cpus }) => {
    const before = { busy: 7, total: 70 }
    const after = { busy: 7 + busy, total: 70 + busy + idle }
    expect(usedProcessors(before, after, cpus)).toBeCloseTo((cpus * busy) / (busy + idle), 9)
  }
)

it("a machine that others use is called so", () => {
  const machine = { node: "20.1.0", cpus: "2 x CPU", othersUse: 1.5, commit: "1" }
  expect(describeMachine({ ...machine, isQuiet: true })).toContain("the machine is quiet")
  expect(describeMachine({ ...machine, isQuiet: false })).toContain(
    "NOT QUIET: other programs use 1.5"
  )
})
