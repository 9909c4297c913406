// Programs of others, as processes below this one: found, started, counted, and gone with it.
import { spawn, type ChildProcess } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

/** Where a program lies; undefined when it is not installed. Servers lie outside of a user's PATH. */
export const find = (program: string): string | undefined =>
  [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"]
    .map((folder) => path.join(folder, program))
    .find((file) => existsSync(file))

const started: Array<ChildProcess> = []

/** Runs for as long as this process does. */
export const start = (program: string, args: ReadonlyArray<string>): void => {
  const child = spawn(find(program) ?? program, args, { stdio: ["ignore", "ignore", "inherit"] })
  started.push(child)
  process.on("exit", () => child.kill())
}

/** The kernel counts in hundredths of a second, whatever its own clock. */
const ticksPerSecond = 100

/** What a process and those below it have used, and those of them that have ended. Of Linux. */
const cpuOf = (pid: number): number => {
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8")
  // Those below first: one that ends meanwhile is counted by its parent then.
  const below = read(`task/${pid}/children`).split(" ").filter(Boolean).map(Number)
  const used = below.map(cpuUnlessEnded)
  // The name before it may hold anything.
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] =
    read("stat").split(") ").at(-1)?.split(" ").slice(11, 15).map(Number) ?? []
  return used.reduce(
    (sum, seconds) => sum + seconds,
    (utime + stime + cutime + cstime) / ticksPerSecond
  )
}

/** socat and sshd have a process for each connection, and it may end before it is looked at. */
const cpuUnlessEnded = (pid: number): number => {
  try {
    return cpuOf(pid)
  } catch {
    return 0
  }
}

/** Seconds of CPU that the started programs have used. */
export const cpuOfPrograms = (): number => started.reduce((sum, { pid = 0 }) => sum + cpuOf(pid), 0)
