// `npm run test:soak -- HOURS`: two servers with all services, and users whose every acknowledged
// message and file is accounted for. The churned server is killed, stopped, reloaded and rotated; the
// steady one has the same traffic and is never restarted, so that its memory and descriptors show a
// leak. Linux only: it reads /proc.
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { killAll, type Command } from "./Command.ts"
import { Journal } from "./Journal.ts"
import { parse, usage } from "./Options.ts"
import { Random } from "./Random.ts"
import { openDescriptors, Sampler, type Subject } from "./Sampler.ts"
import { closeAccounts, partialFiles, stop, type Settling } from "./settle.ts"
import { Site, users } from "./Site.ts"
import { resultOf, rowsOf, show } from "./summary.ts"
import { Target } from "./Target.ts"
import { churn, Rotation } from "./workers/churn.ts"
import { Files } from "./workers/files.ts"
import { guests, pairing } from "./workers/guests.ts"
import { inbox } from "./workers/inbox.ts"
import { lines, outbox, stream } from "./workers/messages.ts"
import { strangers } from "./workers/strangers.ts"
import { startTunnel, tunnel } from "./workers/tunnel.ts"

const options = parse(process.argv.slice(2))
if (options === undefined) {
  console.error(usage)
  process.exit(2)
}
const { hours, seed, json, plant } = options

const build = path.resolve(import.meta.dirname, "../build.ts")
const built = spawnSync(
  process.execPath,
  ["--import", "tsx", build, "--if-stale", "--command-only"],
  { stdio: ["ignore", 2, 2] }
)
if (built.status !== 0) process.exit(1)

const folder = mkdtempSync(path.join(tmpdir(), "soak-"))
const temporary = path.join(folder, "tmp")
mkdirSync(temporary)
process.on("exit", () => {
  killAll()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => process.exit(1))

const journal = new Journal(seed, (line) => console.error(line))
const random = new Random(seed)
const target = new Target(plant)
const sampler = new Sampler()
const subjects: Array<Subject> = []
console.error(`soak: ${hours} hours, seed ${seed}, in ${folder}`)

/** CPU seconds of this process and of all its children that have ended. */
const cpuSeconds = (): number => {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? []
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
}

/**
 * A loopback address of this process and server. The server listens on the same port again after
 * each restart, and no other program takes a port of an address that it does not know.
 */
const hostOf = (index: number): string =>
  `127.${100 + index}.${(process.pid >> 8) & 255}.${process.pid & 255}`

const prepare = async (name: string, index: number): Promise<Settling> => {
  const site = new Site({
    name,
    folder: path.join(folder, name),
    temporary,
    host: hostOf(index),
    journal,
    random: random.fork(name),
    target,
    plant: name === "steady" ? plant : undefined,
    isObserved: name === "steady"
  })
  for (const user of [...users, "guest", "pair", "stranger"])
    mkdirSync(site.path(user), { recursive: true, mode: 0o700 })
  await site.start()
  const near = await startTunnel(site)
  const idle = {
    server: openDescriptors(site.server.pid ?? 0),
    tunnel: openDescriptors(near.command.pid)
  }
  const pidOf = (command: Command) => () => (command.isAlive ? command.pid : undefined)
  subjects.push(
    {
      name: `${name} server`,
      pid: () => site.server.pid,
      server: { address: site.address, control: site.path("control.sock") },
      ...(name === "steady" ? { report: site.reportOf("server") } : {})
    },
    { name: `${name} tunnel`, pid: pidOf(near.command), report: site.reportOf("tunnel") }
  )
  const files = new Files(site, site.options.random.fork("files"))
  const fork = (worker: string) => site.options.random.fork(worker)
  workers.push(
    ["lines", () => lines(site, fork("lines"))],
    [
      "stream",
      () =>
        stream(site, fork("stream"), (command) =>
          subjects.push({ name: `${name} send`, pid: pidOf(command) })
        )
    ],
    ["outbox", () => outbox(site, fork("outbox"))],
    ["inbox", () => inbox(site, fork("inbox"))],
    ["files", () => (plant === "idle" ? Promise.resolve() : files.work())],
    ["tunnel", () => tunnel(site, fork("tunnel"), near.port)],
    ["strangers", () => strangers(site, fork("strangers"))],
    ["guests", () => guests(site, fork("guests"))],
    ["pairing", () => pairing(site, fork("pairing"))]
  )
  return { site, files, tunnel: near.command, idle }
}

const workers: Array<[name: string, work: () => Promise<void>]> = []
await target.start()
const churned = await prepare("churned", 0)
const steady = await prepare("steady", 1)
const settlings = [churned, steady]
const sites = settlings.map(({ site }) => site)
const rotation = new Rotation(churned.site)

/** Runs a worker to its end. An error of its own is a violation as well: nothing may go unchecked. */
const guarded = async (name: string, work: () => Promise<void>): Promise<void> => {
  try {
    await work()
  } catch (error) {
    journal.violation(`the worker ${name} failed: ${error instanceof Error ? error.stack : error}`)
  }
}

const sampling = async (): Promise<void> => {
  while (!journal.isStopping) {
    for (const subject of subjects) await sampler.sample(subject)
    sampler.add("all", "files", readdirSync(temporary).length)
    for (const site of sites)
      sampler.add(`${site.name} .part`, "files", partialFiles(site.served).length)
    await journal.pause(5000)
  }
}

const progress = async (): Promise<void> => {
  for (;;) {
    await journal.pause(60_000)
    if (journal.isStopping) return
    const counts = (["messages acknowledged", "pushes", "pulls", "tunnel flows", "kills"] as const)
      .map((name) => `${journal.counters.of(name)} ${name}`)
      .join(", ")
    console.error(
      `${journal.minutes.toFixed(0)} min: ${counts}, ${journal.violations.length} violations`
    )
  }
}

// The inbox, and so the churn, outlives the senders: they end when everything is acknowledged.
const ending = setTimeout(() => journal.stop(), hours * 3_600_000)
await Promise.all([
  ...workers.map(([name, work]) => guarded(name, work)),
  guarded("churn", () => churn(churned.site, churned.site.options.random.fork("churn"), rotation)),
  guarded("sampling", sampling),
  guarded("progress", progress)
])
clearTimeout(ending)
const { minutes } = journal

if (plant === "damaged") steady.files.damage()
if (plant === "partial") writeFileSync(path.join(steady.site.served, "left.part"), "")
await Promise.all(settlings.map((settling) => guarded("accounts", () => closeAccounts(settling))))
for (const settling of settlings) await guarded("stop", () => stop(settling))
target.close()
for (const name of readdirSync(temporary))
  journal.violation(`the temporary file ${name} stays behind`)

const rows = rowsOf(sampler.series)
for (const { subject, measure, growth, allowed, isFlat, samples } of rows)
  if (!isFlat)
    journal.violation(
      `${subject}: ${measure} grows by ${growth.toFixed(2)} (allowed: ${allowed.toFixed(2)}; ${samples} samples)`
    )
journal.check(...journal.counters.missing(minutes))

const result = resultOf(journal, sites, rows, minutes, cpuSeconds())
console.log(json ? JSON.stringify(result) : show(result))
process.exit(journal.violations.length === 0 ? 0 : 1)
