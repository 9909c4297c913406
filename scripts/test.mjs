// `npm test`: installs if necessary, builds, and runs all checks and tests. Arguments go to vitest
// (`npm test -- test/bytes`), skip the checks, and build only what the selected tests need. `npm run
// test:slow` runs only the tests that take minutes, `npm run test:watch` repeats on every change.
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { needsBuild } from "./needsBuild.mjs"
import { root, setup } from "./setup.mjs"
import { skippedLines } from "./skipped.mjs"
import { unchangedSuites } from "./unchanged.mjs"

setup()
const watch = process.argv.includes("--watch")
const args = process.argv
  .slice(2)
  .filter((arg) => arg !== "--watch")
  .flatMap((arg) => (arg === "--slow" ? ["--config", "test/slow/vitest.config.ts"] : [arg]))
const everything = args.length === 0 && !watch
const build = args.length === 0 || needsBuild(root, args)
const start = (args) =>
  new Promise((done) =>
    spawn(process.execPath, args, { cwd: root, stdio: "inherit" }).once("exit", (code) =>
      done(code ?? 1)
    )
  )
const script = (file, ...rest) =>
  start(["--import", "tsx", path.join(root, "scripts", file), ...rest])

// The checks are independent of the build and of the tests.
const checking = everything ? script("check/all.ts") : Promise.resolve(0)
const building = build ? script("build.ts", "--if-stale") : Promise.resolve(0)
if ((await building) !== 0) process.exit(1)

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
const unchanged = everything ? unchangedSuites(root) : undefined
const left = unchanged?.left ?? []
const excluded = left
  .flatMap(({ files }) => files)
  .flatMap((file) => ["--exclude", `${file}${file.endsWith(".ts") ? "" : "/**"}`])
const status = await start([...vitest, ...excluded, ...args])
const checked = await checking
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
// With a filter of names everything else is skipped.
if (!args.some((arg) => /^(-t|--testNamePattern)\b/.test(arg)))
  for (const line of skippedLines(summary, root)) console.log(line)
console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`)
for (const { files, reason } of left) console.log(`not run: ${files.join(", ")}, because ${reason}`)
if (checked !== 0) console.log("a check failed: npm run check")
const failed = status !== 0 || checked !== 0
if (!failed) unchanged?.passed()
process.exit(failed ? 1 : 0)
