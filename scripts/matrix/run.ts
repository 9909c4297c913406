// `npm run test:matrix -- NAME…`: the suite on each version of Node, and the library's smoke on
// other runtimes; all of them without a name. They run in a clone of the last commit in a temporary
// folder: a plain clone, with nothing beside it. Each Node installs its packages anew. What passes
// is written to passed.json, to be committed.
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { writeRecord } from "./record.mjs"
import { installRuntimes, runtimes, versionOf, type Runtime } from "./runtimes.ts"

const root = path.resolve(import.meta.dirname, "../..")

interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const git = (...args: ReadonlyArray<string>) =>
  spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout.trim()

/** Runs a command; shows its output, and returns it with the exit code. */
const shown = (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  env: NodeJS.ProcessEnv = process.env
): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk)
      output = (output + chunk.toString()).slice(-65_536)
    })
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, output }))
  })

/** Runs the suite; a child that is started as `node` is the same runtime. */
const suite = async ({ binary }: Runtime, clone: string): Promise<Counts> => {
  const env = { ...process.env, CI: "true", PATH: `${path.dirname(binary)}:${process.env.PATH}` }
  const args = ["scripts/test.mjs", "--maxWorkers=3"]
  const { code, output } = await shown(binary, args, clone, env)
  const counted = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output)
  const [passed = 0, failed = 0, skipped = 0] = counted?.slice(1).map(Number) ?? []
  // A run that ends without counts, or with 0 failed tests and another code, has failed.
  return { passed, failed: code === 0 && counted !== null ? failed : Math.max(failed, 1), skipped }
}

/** Runs the smoke on the library that the current Node has built. */
const smoke = async ({ binary, run }: Runtime, clone: string): Promise<Counts> => {
  const build = await shown(process.execPath, ["scripts/run.mjs", "build.ts", "--if-stale"], clone)
  if (build.code !== 0) return { passed: 0, failed: 1, skipped: 0 }
  const { code, output } = await shown(binary, [...run, "scripts/matrix/smoke.mjs"], clone)
  const passed = output.match(/^ok /gm)?.length ?? 0
  return { passed, failed: code === 0 && passed > 0 ? 0 : 1, skipped: 0 }
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !runtimes.some((runtime) => runtime.name === name))
if (unknown.length > 0) {
  const known = runtimes.map(({ name }) => name).join(", ")
  console.error(`unknown runtime ${unknown.join(", ")}; known: ${known}`)
  process.exit(2)
}
if (git("status", "--porcelain") !== "")
  console.error("uncommitted changes are not tested: the matrix runs the last commit")
installRuntimes()

const commit = git("rev-parse", "--short", "HEAD")
const folder = mkdtempSync(path.join(tmpdir(), "sealwire-matrix-"))
// Tests run the command as another user.
chmodSync(folder, 0o755)
const clone = path.join(folder, "sealwire")
let hasFailed = false
try {
  git("clone", "--quiet", root, clone)
  for (const runtime of runtimes.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const { name } = runtime
    const version = versionOf(runtime)
    console.log(`\n== ${name} ${version} at ${commit}`)
    const counts = await (runtime.suite ? suite : smoke)(runtime, clone)
    const result = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
    console.log(`== ${name} ${version}: ${result}`)
    if (counts.failed > 0) hasFailed = true
    else
      writeRecord(name, { version, date: new Date().toISOString().slice(0, 10), commit, ...counts })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = hasFailed ? 1 : 0
