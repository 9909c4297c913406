// `npm test`: installs if necessary, builds, and runs all checks and tests. Arguments go to vitest
// (`npm test -- transports`) and skip the checks. `npm run test:slow` runs only the tests that take
// minutes.
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { root, setup } from "./setup.mjs"

setup()
const args = process.argv
  .slice(2)
  .flatMap((arg) => (arg === "--slow" ? ["--config", "test/slow/vitest.config.ts"] : [arg]))
const steps = args.length > 0 ? [["build.ts", "--if-stale"]] : [["build.ts"], ["check/all.ts"]]
// Concurrently: build and checks are independent.
const codes = await Promise.all(
  steps.map(
    ([file, ...rest]) =>
      new Promise((done) =>
        spawn(process.execPath, ["--import", "tsx", path.join(root, "scripts", file), ...rest], {
          cwd: root,
          stdio: "inherit"
        }).once("exit", done)
      )
  )
)
const failed = codes.find((code) => code !== 0)
if (failed !== undefined) process.exit(failed ?? 1)

const folder = mkdtempSync(path.join(tmpdir(), "sealwire-test-"))
const results = path.join(folder, "results.json")
const vitest = [
  "node_modules/vitest/vitest.mjs",
  "run",
  "--reporter=dot",
  "--reporter=json",
  `--outputFile.json=${results}`
]
const { status } = spawnSync(process.execPath, [...vitest, ...args], {
  cwd: root,
  stdio: "inherit"
})
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
const { numPassedTests, numFailedTests, numPendingTests } = summary
console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`)
process.exit(status ?? 1)
