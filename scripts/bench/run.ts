// `npm run bench`: runs every row, or those whose names contain a given word. docs/explanation/speed.md.
import { spawnSync } from "node:child_process"
import path from "node:path"
import { makeBundle } from "./bundle.ts"
import { writeTables } from "./documents.ts"
import * as History from "./history.ts"
import { describe, watchMachine } from "./machine.ts"
import { runOnNode } from "./node.ts"
import { parse } from "./options.ts"
import { installPackages } from "./packages.ts"
import { run, type Result } from "./Row.ts"
import { rows } from "./rows.ts"
import { beQuick } from "./scale.ts"
import { makeSecrets } from "./secrets.ts"
import { header, line } from "./table.ts"
import { verdictOf } from "./verdict.ts"

/** Set in the process of a version of Node that was chosen. */
const chosen = "SEALWIRE_BENCH_NODE"

const args = process.argv.slice(2)
const options = parse(args)
if (typeof options === "string") {
  console.error(options)
  process.exit(2)
}
if (options.tables) {
  writeTables(History.read())
  process.exit(0)
}
// On chosen versions it is this program again, with one of them each.
if (options.node.length > 0 && process.env[chosen] === undefined) {
  process.env[chosen] = "1"
  process.exit(Math.max(...options.node.map((major) => runOnNode(major, args))))
}
if (options.quick) beQuick()

const built = spawnSync(
  process.execPath,
  [
    "--import",
    "tsx",
    path.resolve(import.meta.dirname, "../build.ts"),
    "--if-stale",
    "--command-only"
  ],
  { stdio: ["ignore", 2, 2] }
)
if (built.status !== 0) process.exit(1)
installPackages()
makeSecrets()
await makeBundle()

const machine = await watchMachine()
const history = History.read()
const results: Array<Result> = []
const verdicts = { OK: 0, below: 0 }

if (!options.json) console.log(`${describe(machine)}${options.quick ? "; quick" : ""}\n\n${header}`)
for (const row of rows) {
  const isChosen = (word: string) => row.figures.some(({ name }) => name.includes(word))
  if (options.filters.length > 0 && !options.filters.some(isChosen)) continue
  const ofRow = await run(row)
  results.push(...ofRow)
  const first = row.contestants[0]?.name
  for (const result of ofRow) {
    const isFirst = result.contestant === first
    const isOurs = isFirst || row.isGrowth === true
    const verdict = verdictOf(result, isOurs)
    if (verdict !== undefined) verdicts[verdict.ok ? "OK" : "below"]++
    if (isFirst && "absent" in result) process.exitCode = 1
    const last = History.lastOf(history, result, machine.node)
    console.log(
      options.json ? JSON.stringify({ ...result, ...verdict }) : line(result, isOurs, last)
    )
  }
}
console.error(`${verdicts.OK} floors reached, ${verdicts.below} below`)
// Figures of a tenth of the work would hide a regression.
if (options.record && !options.quick)
  History.append(results, machine, new Date().toISOString().slice(0, 10))
