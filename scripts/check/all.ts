// `npm run check`: runs every check and fails if one of them fails. `npm run check -- lint format`
// runs those.
import { spawnSync } from "node:child_process"
import { compiler } from "../compiler.ts"
import { importCycles } from "./cycles.ts"
import { effectVersions } from "./effectVersions.ts"
import { roomViolations } from "./rooms.ts"

const run = (program: string, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" })
  return status === 0 ? [] : [error?.message ?? `${stdout}${stderr}`.trimEnd()]
}

const tool =
  (...args: ReadonlyArray<string>) =>
  (): ReadonlyArray<string> =>
    run(process.execPath, args)

// Incremental: the compiler keeps the results for unchanged files. One thread: with more, each
// checks the shared types again.
const buildInfo = "node_modules/.cache/sealwire-check.tsbuildinfo"
const types = `-p tsconfig.json --checkers 1 --incremental --tsBuildInfoFile ${buildInfo}`

const checks: ReadonlyArray<readonly [name: string, problemsOf: () => ReadonlyArray<string>]> = [
  ["types", () => run(compiler(), types.split(" "))],
  [
    "lint",
    tool("node_modules/oxlint/bin/oxlint", "--deny-warnings", "src", "test", "scripts", "examples")
  ],
  ["format", tool("node_modules/oxfmt/bin/oxfmt", "--check", "src", "test", "scripts", "examples")],
  ["rooms", () => roomViolations("src")],
  ["import cycles", () => importCycles("src")],
  ["effect 3 only", () => effectVersions("package-lock.json")]
]

const selected = process.argv.slice(2)
const unknown = selected.filter((name) => !checks.some(([known]) => known === name))
if (unknown.length > 0) {
  console.error(`no such check: ${unknown.join(", ")} (${checks.map(([name]) => name).join(", ")})`)
  process.exit(2)
}

let failed = 0
for (const [name, problemsOf] of checks) {
  if (selected.length > 0 && !selected.includes(name)) continue
  const problems = problemsOf()
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${name}`)
  for (const problem of problems) console.error(problem.replace(/^/gm, "     "))
  failed += problems.length
}
process.exitCode = failed === 0 ? 0 : 1
