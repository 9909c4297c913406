// `npm run bench`: runs every row, or those whose names contain a given word. `-- --json` prints
// JSON, `-- bulk --node=--cpu-prof` writes a profile of each process.
import { spawnSync } from "node:child_process"
import path from "node:path"
import { run, type Result, type Row } from "./Row.ts"
import { makeBundle } from "./bundle.ts"
import { makeSecrets } from "./secrets.ts"
import { installPackages } from "./packages.ts"
import { bulk } from "./rows/bulk.ts"
import { fileRows } from "./rows/files.ts"
import { handshakeRows } from "./rows/handshakes.ts"
import { inboxRow } from "./rows/inboxes.ts"
import { memory } from "./rows/memory.ts"
import { messages } from "./rows/messages.ts"
import { peersRow } from "./rows/peers.ts"
import { pushRows } from "./rows/pushes.ts"
import { roundTrips } from "./rows/roundTrips.ts"
import { startup } from "./rows/startup.ts"
import { tunnelRows } from "./rows/tunnel.ts"
import { sides } from "./sides.ts"

const rows: ReadonlyArray<Row> = [
  bulk,
  ...handshakeRows,
  roundTrips,
  messages,
  inboxRow,
  memory,
  peersRow,
  ...fileRows,
  ...pushRows,
  ...tunnelRows,
  startup
]

const args = process.argv.slice(2)
const json = args.includes("--json")
const filters = args.filter((arg) => !arg.startsWith("--"))

const built = spawnSync(
  process.execPath,
  [
    "--import",
    "tsx",
    path.resolve(import.meta.dirname, "../build.ts"),
    "--if-stale",
    "--command-only"
  ],
  {
    stdio: ["ignore", 2, 2]
  }
)
if (built.status !== 0) process.exit(1)
installPackages(Object.values(sides).flatMap(({ packages = [] }) => packages))
makeSecrets()
await makeBundle()

const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

const line = ({ row, contestant, median, least, most, unit, ratio, target }: Result): string =>
  `| ${row} | ${contestant} | ${figure(median)} ${unit} (${figure(least)} to ${figure(most)}) | ${ratio === undefined ? "" : `${ratio.toFixed(2)}x`} | ${target === undefined ? "" : `${target}x`} |`

if (!json)
  console.log(
    "| row | contestant | median (range) | Sealwire's ratio | target |\n|---|---|---|---|---|"
  )
for (const row of rows) {
  if (
    filters.length > 0 &&
    !filters.some((filter) => row.figures.some(({ name }) => name.includes(filter)))
  )
    continue
  for (const result of await run(row, (text) => console.error(text)))
    console.log(json ? JSON.stringify(result) : line(result))
}
