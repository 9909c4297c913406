// `npm test`: installs if necessary, builds, and runs all checks and tests. Arguments go to vitest
// (`npm test -- test/bytes`), skip the checks, and build only what the selected tests need. `npm run
// test:slow` runs only the tests that take minutes, `npm run test:watch` repeats on every change.
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { needsBuild } from "./needsBuild.mjs"
import { root, setup } from "./setup.mjs"

setup()
const watch = process.argv.includes("--watch")
const args = process.argv
  .slice(2)
  .filter((arg) => arg !== "--watch")
  .flatMap((arg) => (arg === "--slow" ? ["--config", "test/slow/vitest.config.ts"] : [arg]))
const everything = args.length === 0 && !watch
const build = args.length === 0 || needsBuild(root, args)
const steps = [
  ...(build ? [["build.ts", ...(everything ? [] : ["--if-stale"])]] : []),
  ...(everything ? [["check/all.ts"]] : [])
]
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

if (watch) {
  const { status } = spawnSync(process.execPath, ["node_modules/vitest/vitest.mjs", ...args], {
    cwd: root,
    stdio: "inherit"
  })
  process.exit(status ?? 1)
}

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
