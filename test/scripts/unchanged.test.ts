// The suites that `npm test` leaves out because nothing that they cover has changed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
// @ts-expect-error -- plain JavaScript, which runs before anything is installed
import * as unchanged from "../../scripts/unchanged.mjs"

interface State {
  readonly files: ReadonlyArray<string>
  readonly passed: () => void
}
const unchangedSuites = (unchanged as { readonly unchangedSuites: (root: string) => State })
  .unchangedSuites

let root: string
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
  writeFileSync(path.join(root, file), text)
}

beforeEach(() => {
  vi.stubEnv("CI", undefined)
  root = mkdtempSync(path.join(tmpdir(), "sealwire-unchanged-"))
  for (const file of ["package.json", "package-lock.json", "tsconfig.json", "README.md", "LICENSE"])
    write(file, file)
  for (const file of ["src/a.ts", "scripts/b.ts", "examples/c.ts", "docs/d.md"]) write(file, file)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(root, { recursive: true, force: true })
})

const packaged = "test/scripts/consumer.test.ts"
const documents = "test/docs/docs.test.ts"

it("every suite runs until all have passed", () => {
  const first = unchangedSuites(root)
  expect(first.files).toEqual([])
  expect(unchangedSuites(root).files).toEqual([])
  first.passed()
  expect(unchangedSuites(root).files).toEqual(expect.arrayContaining([packaged, documents]))
})

it.each([
  ["a source", "src/a.ts", []],
  ["a new source", "src/deep/new.ts", []],
  ["an example", "examples/c.ts", [documents]],
  ["a page", "docs/d.md", [packaged]],
  ["the README", "README.md", []],
  ["a test of the library", "test/bytes/x.test.ts", [packaged, documents]]
])("a change of %s runs the suites that cover it", (_, file, left) => {
  unchangedSuites(root).passed()
  write(file, "changed")
  const { files } = unchangedSuites(root)
  expect(files.filter((name) => name === packaged || name === documents)).toEqual(left)
})

it("a change during the run counts as a change", () => {
  const run = unchangedSuites(root)
  write("src/a.ts", "changed meanwhile")
  run.passed()
  expect(unchangedSuites(root).files).toEqual([])
})

it("CI runs every suite", () => {
  unchangedSuites(root).passed()
  vi.stubEnv("CI", "true")
  expect(unchangedSuites(root).files).toEqual([])
})
