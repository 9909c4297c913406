// The runtimes of `npm run test:matrix`, and the record of when each last passed.
import { readFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "vitest"
import { formatRecord, readRecord } from "../../scripts/matrix/record.mjs"
import { runtimes } from "../../scripts/matrix/runtimes.ts"

const folder = path.resolve(import.meta.dirname, "../../scripts/matrix")
const json = (file: string) => JSON.parse(readFileSync(path.join(folder, file), "utf8")) as never

it("come from npm in exact versions, with a digest and without an install script", () => {
  const { dependencies } = json("package.json") as { dependencies: Record<string, string> }
  expect(Object.keys(dependencies).toSorted()).toEqual(runtimes.map(({ name }) => name).toSorted())
  const { packages } = json("package-lock.json") as {
    packages: Record<string, { name: string; version: string; integrity: string }>
  }
  for (const [name, spec] of Object.entries(dependencies)) {
    const locked = packages[`node_modules/${name}`]
    expect(`npm:${locked?.name}@${locked?.version}`).toBe(spec)
    expect(locked?.integrity).toMatch(/^sha512-/)
    expect(locked).not.toHaveProperty("hasInstallScript")
  }
})

it("the record names runtimes that are tested, each with a run in which nothing failed", () => {
  const record = readRecord()
  for (const [name, { failed, passed, date, version }] of Object.entries(record)) {
    expect(runtimes.map((runtime) => runtime.name)).toContain(name)
    expect([failed, passed > 0]).toEqual([0, true])
    expect(date).toMatch(/^\d{4}-\d\d-\d\d$/)
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
  }
})

it("is printed in one line, which says when there is none", () => {
  const entry = { version: "22.1.0", date: "2026-01-02", commit: "abc1234", failed: 0, skipped: 3 }
  const names = runtimes.map(({ name }) => name)
  expect(formatRecord({ node22: { ...entry, passed: 5 } }, names)).toBe(
    names
      .map((name) =>
        name === "node22"
          ? "node22 22.1.0 last passed on 2026-01-02 (abc1234: 5 passed, 3 skipped)"
          : `${name} has not passed yet`
      )
      .join("; ")
  )
})
