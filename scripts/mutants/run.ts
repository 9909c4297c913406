// `npm run mutants -- [ROOM | ROOM/FROM-TO]… [--jobs N]`: applies each mutant of the lists to a copy
// of the repository, runs the tests that should fail, and prints the score. Exits with 1 when fewer
// than 95 % of the mutants of a room are caught.
import { fork, type ChildProcess } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { parseArgs } from "node:util"
import { rooms } from "./index.ts"
import { mutate, type Mutant } from "./Mutant.ts"

const root = path.resolve(import.meta.dirname, "../..")
/** A mutant whose tests do not end counts as caught after this time. */
const deadlineMillis = 180_000
const requiredScore = 0.95

const { values, positionals } = parseArgs({
  options: { jobs: { type: "string", default: "1" } },
  allowPositionals: true
})

/** Returns the mutants that `noise`, `noise/12` or `noise/12-20` selects. */
const select = (filter: string): ReadonlyArray<Mutant> => {
  const [, name = "", from, to = from] = /^([a-z]+)(?:\/(\d+)(?:-(\d+))?)?$/.exec(filter) ?? []
  const mutants = rooms[name]
  if (mutants === undefined) {
    console.error(`no such room: ${filter}; the rooms are ${Object.keys(rooms).join(", ")}`)
    process.exit(2)
  }
  return from === undefined ? mutants : mutants.slice(Number(from) - 1, Number(to))
}

/** A copy of what the tests read, so that nobody sees a mutant in the working tree. */
const copyRepository = (): string => {
  const copy = mkdtempSync(path.join(tmpdir(), "sealwire-mutants-"))
  const entries = [
    "src",
    "test",
    "scripts",
    "docs",
    "package.json",
    "tsconfig.json",
    "vitest.config.ts"
  ]
  for (const entry of entries)
    cpSync(path.join(root, entry), path.join(copy, entry), { recursive: true })
  for (const entry of ["node_modules", "dist"])
    symlinkSync(path.join(root, entry), path.join(copy, entry))
  return copy
}

type Verdict = "caught" | "survived" | "equivalent"

/** Tests mutants one after the other; a worker whose tests hang is replaced. */
const startJob = () => {
  const copies: Array<string> = []
  let worker: ChildProcess | undefined
  const stop = () => {
    // The group: the worker, and the process of its tests.
    if (worker?.pid !== undefined) process.kill(-worker.pid, "SIGKILL")
    worker = undefined
  }
  const start = (): ChildProcess => {
    const copy = copyRepository()
    copies.push(copy)
    return fork(path.join(import.meta.dirname, "worker.ts"), [copy], {
      execArgv: ["--import", "tsx"],
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
  }
  return {
    verdict: (mutant: Mutant): Promise<Verdict> =>
      new Promise((resolve, reject) => {
        const child = (worker ??= start())
        const settle = () => {
          clearTimeout(timer)
          child.removeAllListeners()
        }
        const timer = setTimeout(() => {
          settle()
          stop()
          resolve("caught")
        }, deadlineMillis)
        child.once("message", (answer: { caught: boolean } | { error: string }) => {
          settle()
          if ("error" in answer) return reject(new Error(`${mutant.id}: ${answer.error}`))
          resolve(answer.caught ? "caught" : "survived")
        })
        child.once("exit", (code) => {
          settle()
          worker = undefined
          reject(new Error(`${mutant.id}: the worker exited with ${code}`))
        })
        child.send(mutant)
      }),
    end: () => {
      stop()
      for (const copy of copies) rmSync(copy, { recursive: true, force: true })
    }
  }
}

const filters = positionals.length === 0 ? Object.keys(rooms) : positionals
const selected = filters.flatMap(select)
// A list that has rotted fails before anything runs.
for (const mutant of selected) mutate(readFileSync(path.join(root, mutant.file), "utf8"), mutant)

const verdicts = new Map<Mutant, Verdict>()
const waiting = [...selected]
const jobs = Array.from({ length: Number(values.jobs) }, startJob)
// The tests of a mutant may never end by themselves.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    for (const job of jobs) job.end()
    process.exit(1)
  })
try {
  await Promise.all(
    jobs.map(async (job) => {
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
        const startedAt = Date.now()
        const verdict =
          mutant.equivalent === undefined ? await job.verdict(mutant) : ("equivalent" as const)
        verdicts.set(mutant, verdict)
        const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
        console.log(`${verdict.padEnd(10)} ${mutant.id} ${seconds} s ${mutant.file}`)
        if (verdict === "survived")
          console.log(`  - ${mutant.original}\n  + ${mutant.replacement}\n`)
      }
    })
  )
} finally {
  for (const job of jobs) job.end()
}

for (const [name, mutants] of Object.entries(rooms)) {
  const found = mutants.flatMap((mutant) => verdicts.get(mutant) ?? [])
  if (found.length === 0) continue
  const count = (verdict: Verdict) => found.filter((other) => other === verdict).length
  const real = found.length - count("equivalent")
  const score = real === 0 ? 1 : count("caught") / real
  if (score < requiredScore) process.exitCode = 1
  console.log(
    `${name}: ${count("caught")} of ${real} caught (${(score * 100).toFixed(1)} %), ` +
      `${count("survived")} survived, ${count("equivalent")} equivalent`
  )
}
