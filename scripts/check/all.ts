// `npm run check`: runs every check and fails if one of them fails. `npm run check -- lint format`
// runs those.
import { spawnSync } from "node:child_process"
import { existsSync, writeFileSync } from "node:fs"
import { importCycles } from "./cycles.ts"
import { effectVersions } from "./effectVersions.ts"
import { roomViolations } from "./rooms.ts"

const tool =
  (...args: ReadonlyArray<string>) =>
  (): ReadonlyArray<string> => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" })
    return status === 0 ? [] : [`${stdout}${stderr}`.trimEnd()]
  }

// Adds the Effect diagnostics to tsc (a floating Effect is an error), once per installation.
const patchStamp = "node_modules/.sealwire-diagnostics"
const buildInfo = "node_modules/.cache/sealwire-check.tsbuildinfo"
const types = (): ReadonlyArray<string> => {
  if (!existsSync(patchStamp)) {
    const problems = tool("node_modules/@effect/language-service/cli.js", "patch")()
    if (problems.length > 0) return problems
    writeFileSync(patchStamp, "")
  }
  // Incremental: tsc keeps the results for unchanged files.
  return tool(
    "node_modules/typescript/bin/tsc",
    "-p",
    "tsconfig.json",
    "--incremental",
    "--tsBuildInfoFile",
    buildInfo
  )()
}

const checks: ReadonlyArray<readonly [name: string, run: () => ReadonlyArray<string>]> = [
  ["types", types],
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
for (const [name, run] of checks) {
  if (selected.length > 0 && !selected.includes(name)) continue
  const problems = run()
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${name}`)
  for (const problem of problems) console.error(problem.replace(/^/gm, "     "))
  failed += problems.length
}
process.exitCode = failed === 0 ? 0 : 1
