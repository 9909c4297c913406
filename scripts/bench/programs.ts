// Other programs as child processes: finds, starts and measures them, and stops them on exit.
import { spawn, type ChildProcess } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"

/**
 * The path of a program, or undefined if it is not installed. Servers are outside a user's PATH.
 */
export const find = (program: string): string | undefined =>
  [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"]
    .map((folder) => path.join(folder, program))
    .find((file) => existsSync(file))

/** Returns which of the programs are missing, as a clause. */
export const missingPrograms = (programs: ReadonlyArray<string>): string | undefined => {
  const missing = programs.filter((program) => find(program) === undefined)
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`
}

const started: Array<ChildProcess> = []
process.on("exit", () => started.forEach((child) => child.kill()))

/** Starts a program that runs until this process exits. */
export const start = (program: string, args: ReadonlyArray<string>): void => {
  const child = spawn(find(program) ?? program, args, { stdio: ["ignore", "ignore", "inherit"] })
  started.push(child)
}

/** The unit of CPU time in /proc: 1/100 s, independent of the frequency of the kernel (proc(5)). */
const ticksPerSecond = 100

/** The CPU seconds of a process, its descendants, and its children that have ended. Linux only. */
const cpuOf = (pid: number): number => {
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8")
  // Descendants first: if one ends in the meantime, its parent counts it afterwards.
  const below = read(`task/${pid}/children`).split(" ").filter(Boolean).map(Number)
  const used = below.map(cpuUnlessEnded)
  // The process name in parentheses may contain any character.
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] =
    read("stat").split(") ").at(-1)?.split(" ").slice(11, 15).map(Number) ?? []
  return used.reduce(
    (sum, seconds) => sum + seconds,
    (utime + stime + cutime + cstime) / ticksPerSecond
  )
}

/** socat and sshd start a process for each connection, which may end before it is read. */
const cpuUnlessEnded = (pid: number): number => {
  try {
    return cpuOf(pid)
  } catch {
    return 0
  }
}

/** The CPU seconds of the started programs. */
export const cpuOfPrograms = (): number => started.reduce((sum, { pid = 0 }) => sum + cpuOf(pid), 0)
