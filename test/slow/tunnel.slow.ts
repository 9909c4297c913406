// 100 MB through a tunnel into PostgreSQL and back, with COPY of psql.
import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { once } from "node:events"
import { expect } from "vitest"
import { available as hasPostgres } from "../services/inbox/Postgres.ts"
import { eventsOf, it, type Box, type Running } from "../cli/Sealwire.ts"

const hasPsql = spawnSync("psql", ["--version"]).status === 0
if (!hasPsql) console.warn("no psql here: the COPY of 100 MB is skipped")

const rows = 1_000_000

const digest = async (file: string) => {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest("hex")
}

const addressOf = (running: Running, event: string, field: string) =>
  running.until(event, ({ stdout }) =>
    eventsOf(stdout)
      .find((one) => one.event === event)
      ?.[field]?.toString()
  )

const writeRows = async (box: Box) => {
  const file = createWriteStream(box.path("rows.tsv"))
  for (let row = 0; row < rows; row++)
    if (!file.write(`${row}\t${randomBytes(46).toString("hex")}\n`)) await once(file, "drain")
  file.end()
  await once(file, "close")
}

it.runIf(hasPostgres && hasPsql)("carries a COPY of 100 MB each way unchanged", async ({ box }) => {
  expect((await box.run(["keygen", "-o", "./sealwire.key"])).code).toBe(0)
  const server = box.start([
    "serve",
    "--json",
    "--listen",
    "127.0.0.1:0",
    "--forward",
    "pg=127.0.0.1:5432"
  ])
  const to = await addressOf(server, "server-listening", "address")
  const tunnel = box.start(["tunnel", "--json", "--listen", "127.0.0.1:0", "--to", to])
  const at = await addressOf(tunnel, "tunnel-listening", "listen")
  await writeRows(box)
  const script =
    "CREATE TEMP TABLE t (n int, x text);\n\\copy t from rows.tsv\n\\copy (select * from t order by n) to back.tsv\n"
  const psql = box.startOther(
    "psql",
    ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", `postgres://root@${at}/postgres`],
    {
      stdin: script
    }
  )
  expect(await psql.ended(240_000)).toMatchObject({ code: 0, stderr: "" })
  expect(await digest(box.path("back.tsv"))).toBe(await digest(box.path("rows.tsv")))
})
