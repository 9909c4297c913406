// The summary of `npm test` names what was skipped, and why.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "vitest"
import { conditionsOf, requirementOf, skippedLines } from "../../scripts/skipped.mjs"

const root = path.resolve(import.meta.dirname, "../..")

const testFiles = readdirSync(path.join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts") && !file.endsWith("skipped.test.ts"))
  .map((file) => path.join(root, "test", file))

it("knows what every condition of a test file asks for", () => {
  const conditions = testFiles.flatMap((file) => conditionsOf(readFileSync(file, "utf8")))
  expect(conditions.length).toBeGreaterThan(30)
  for (const { condition } of conditions)
    expect([condition, requirementOf(condition)]).toEqual([condition, expect.any(String)])
  expect(requirementOf("isFullMoon")).toBeUndefined()
})

it('no title has a reason that does not follow "skipped for want of"', () => {
  for (const name of testFiles)
    for (const [, reason] of readFileSync(name, "utf8").matchAll(/\(skipped: ([^)]+)\)/g))
      expect([name, reason]).toEqual([name, expect.not.stringMatching(/\b(not|no)\b/)])
})

it("groups the names of skipped tests by what they need", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sealwire-skipped-"))
  const file = path.join(folder, "a.test.ts")
  writeFileSync(
    file,
    `describe.runIf(hasOpenssl).concurrent("openssl", () => { it("reads", () => {}) })
     it.skipIf(!(has("nginx") && has("curl")))("passes %s on", () => {})
     describe.skipIf(x)("y (skipped: a z)", () => { it("w", () => {}) })`
  )
  const test = (title: string, status: string, ...ancestorTitles: ReadonlyArray<string>) => ({
    title,
    status,
    ancestorTitles
  })
  const report = {
    testResults: [
      {
        name: file,
        assertionResults: [
          test("reads", "skipped", "openssl"),
          test("passes HTTP on", "pending"),
          test("w", "skipped", "y (skipped: a z)"),
          test("runs", "passed")
        ]
      }
    ]
  }
  try {
    expect(skippedLines(report, folder)).toEqual([
      "skipped for want of openssl: 1",
      "  a.test.ts > openssl > reads",
      "skipped for want of nginx, curl: 1",
      "  a.test.ts > passes HTTP on",
      "skipped for want of a z: 1",
      "  a.test.ts > y (skipped: a z) > w"
    ])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
