// The end of a run: everything is delivered, every account is closed, and both servers are idle.
import { readdirSync } from "node:fs"
import type { Command } from "./Command.ts"
import { openDescriptors } from "./Sampler.ts"
import type { Site } from "./Site.ts"
import type { Files } from "./workers/files.ts"
import { drain } from "./workers/inbox.ts"

/** Descriptors that an idle server may have more than when it started: databases are opened late. */
const lateDescriptors = 8
/** A session removes what a killed one has left when that is a minute old. */
const leftoverMillis = 65_000

const wait = (millis: number) => new Promise<void>((done) => setTimeout(done, millis))

/** Names of partial files below a folder. */
export const partialFiles = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".part"))

type Descriptors = ReadonlyMap<string, number>

const sizeOf = (counts: Descriptors) => [...counts.values()].reduce((sum, count) => sum + count, 0)

/** Waits until a process has few descriptors; returns those that it has then. */
const untilFew = async (pid: number, limit: number): Promise<Descriptors> => {
  for (let waited = 0; waited < 180_000; waited += 1000) {
    if (sizeOf(openDescriptors(pid)) <= limit) break
    await wait(1000)
  }
  return openDescriptors(pid)
}

/** Kinds of descriptors of which there are more than before, as text. */
const added = (now: Descriptors, before: Descriptors): string =>
  [...now]
    .filter(([kind, count]) => count > (before.get(kind) ?? 0))
    .map(([kind, count]) => `${count} instead of ${before.get(kind) ?? 0} ${kind}`)
    .join(", ")

export interface Settling {
  readonly site: Site
  readonly files: Files
  readonly tunnel: Command
  /** Open descriptors of server and tunnel before any traffic. */
  readonly idle: { readonly server: Descriptors; readonly tunnel: Descriptors }
}

/** Compares everything that was acknowledged with what is there. */
export const closeAccounts = async ({ site, files }: Settling): Promise<void> => {
  await drain(site)
  site.journal.check(
    ...site.files.checkAll(site.served).map((what) => `${site.name}: stored file ${what}`)
  )
  await wait(leftoverMillis)
  await files.pushEverywhere()
  for (const folder of [site.served, site.path("files", "in")])
    for (const name of partialFiles(folder))
      site.journal.violation(`${site.name}: the partial file ${name} stays behind in ${folder}`)
}

/** Checks that idle processes have as few descriptors as at their start, and stops them. */
export const stop = async ({ site, tunnel, idle }: Settling): Promise<void> => {
  const pid = site.server.pid ?? 0
  const subjects = [
    ["server", pid, idle.server],
    ["tunnel", tunnel.pid, idle.tunnel]
  ] as const
  for (const [name, process, before] of subjects) {
    const limit = sizeOf(before) + lateDescriptors
    const now = await untilFew(process, limit)
    if (sizeOf(now) > limit)
      site.journal.violation(
        `${site.name}: the idle ${name} has more descriptors than at its start: ${added(now, before)}`
      )
  }
  tunnel.kill("SIGTERM")
  await tunnel.ended
  await site.server.end("SIGTERM")
}
