// `npm test`: sets itself up, then everything: types, lint, format, rooms, build, and every test.
// Arguments go to vitest (`npm test -- transports`); with arguments the checks are left out.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { root, script, setup } from "./setup.mjs"

setup()
const args = process.argv.slice(2)
const steps = args.length > 0 ? [["build.ts", "--if-stale"]] : [["check/all.ts"], ["build.ts"]]
for (const [file, ...rest] of steps) {
  const code = script(file, rest)
  if (code !== 0) process.exit(code)
}

const folder = mkdtempSync(path.join(tmpdir(), "sealwire-test-"))
const results = path.join(folder, "results.json")
const vitest = ["node_modules/vitest/vitest.mjs", "run", "--reporter=dot", "--reporter=json", `--outputFile.json=${results}`]
const { status } = spawnSync(process.execPath, [...vitest, ...args], { cwd: root, stdio: "inherit" })
const summary = (() => {
  try {
    return JSON.parse(readFileSync(results, "utf8"))
  } catch {
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})()
if (summary === undefined || summary.numPassedTests === 0) {
  console.log("no test ran")
  process.exit(status || 1)
}
const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = summary
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exit(status ?? 1)
