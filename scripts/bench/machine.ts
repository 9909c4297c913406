// Whether the machine is quiet enough for figures: what other programs take of its processors.
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import os from "node:os"
import { setTimeout as sleep } from "node:timers/promises"

/** The share of one processor that others may take on a quiet machine. */
const quietShare = 0.1
/** Time to watch, in milliseconds. */
const watchMillis = 1000

export interface Machine {
  readonly node: string
  readonly cpus: string
  /** Processors that other programs used, and that the host withheld, while this one waited. */
  readonly othersUse: number
  readonly isQuiet: boolean
  /** The commit of the measured sources; ends with `+` if files differ from it. */
  readonly commit: string
}

/** Watches the machine for a second, in which this process does nothing. */
export const watchMachine = async (): Promise<Machine> => {
  const before = busyTime()
  await sleep(watchMillis)
  const othersUse = usedProcessors(before, busyTime(), os.cpus().length)
  return {
    node: process.versions.node,
    cpus: `${os.cpus().length} x ${os.cpus()[0]?.model.trim() ?? os.arch()}`,
    othersUse: Math.round(othersUse * 100) / 100,
    isQuiet: othersUse <= quietShare,
    commit: commit()
  }
}

/** The line above the table. */
export const describe = ({ node, cpus, othersUse, isQuiet, commit }: Machine): string =>
  `Node ${node}, ${cpus}, commit ${commit}; ` +
  (isQuiet
    ? "the machine is quiet"
    : `NOT QUIET: other programs use ${othersUse} processors; trust ratios only, and repeat them`)

interface BusyTime {
  readonly busy: number
  readonly total: number
}

/** The processors that were busy between two times. */
export const usedProcessors = (before: BusyTime, after: BusyTime, processors: number): number => {
  const total = after.total - before.total
  return total === 0 ? 0 : ((after.busy - before.busy) / total) * processors
}

/** Time of all processors so far. Steal, which Node does not report, is in /proc/stat alone. */
const busyTime = (): BusyTime => {
  try {
    // user nice system idle iowait irq softirq steal (proc(5))
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, ...others] = readFileSync(
      "/proc/stat",
      "utf8"
    )
      .split("\n", 1)
      .join()
      .trim()
      .split(/\s+/)
      .slice(1, 9)
      .map(Number)
    const busy = others.reduce((sum, ticks) => sum + ticks, user + nice + system)
    return { busy, total: busy + idle + wait }
  } catch {
    // Not Linux.
    const times = os.cpus().map((cpu) => cpu.times)
    const busy = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0)
    return { busy, total: times.reduce((sum, { idle }) => sum + idle, busy) }
  }
}

const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) =>
    spawnSync("git", args, { encoding: "utf8", cwd: import.meta.dirname }).stdout?.trim() ?? ""
  return (
    git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") === "" ? "" : "+")
  )
}
