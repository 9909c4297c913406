// `npm run bench`: every row, or those whose names hold a word of the command line; `-- --json` for machines.
import { spawnSync } from "node:child_process"
import path from "node:path"
import { run, type Result, type Row } from "./Row.ts"
import { startup } from "./startup.ts"

const rows: ReadonlyArray<Row> = [startup]

const args = process.argv.slice(2)
const json = args.includes("--json")
const words = args.filter((arg) => !arg.startsWith("--"))

const built = spawnSync(process.execPath, ["--import", "tsx", path.resolve(import.meta.dirname, "../build.ts"), "--if-stale"], {
  stdio: ["ignore", 2, 2]
})
if (built.status !== 0) process.exit(1)

const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

const line = ({ row, contestant, median, least, most, unit, ratio, target }: Result): string =>
  `| ${row} | ${contestant} | ${figure(median)} ${unit} (${figure(least)} to ${figure(most)}) | ${ratio === undefined ? "" : `${ratio.toFixed(2)}x`} | ${target === undefined ? "" : `${target}x`} |`

if (!json) console.log("| row | who | median (spread) | ours against it | to reach |\n|---|---|---|---|---|")
for (const row of rows) {
  if (words.length > 0 && !words.some((word) => row.name.includes(word))) continue
  for (const result of await run(row, (text) => console.error(text))) console.log(json ? JSON.stringify(result) : line(result))
}
