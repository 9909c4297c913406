// Names of files that are still being written. A name contains its writer's process, so that the
// remains of a killed process can be told from a file in progress.
import { createHash, randomBytes } from "node:crypto"
import { readFileSync, readlinkSync } from "node:fs"
import { lstat, opendir, unlink } from "node:fs/promises"
import { hostname } from "node:os"
import path from "node:path"
import * as Utf8 from "../bytes/Utf8.ts"

/** Returns a new name beside the target. */
export const nameFor = (target: string): string =>
  path.join(
    path.dirname(target),
    `${prefixOf(target)}${hostHash()}-${process.pid}-${startOf(process.pid) ?? 0}.${randomHex()}.tmp`
  )

/**
 * Removes the temporary files that dead processes left for the target: only files of this user,
 * written on this machine, because the state of other processes is unknown.
 */
export const removeStale = async (target: string): Promise<void> => {
  const [folder, prefix] = [path.dirname(target), prefixOf(target)]
  for await (const { name } of await opendir(folder)) {
    const writer = name.startsWith(prefix)
      ? suffixPattern.exec(name.slice(prefix.length))?.groups
      : undefined
    if (
      writer === undefined ||
      writer.host !== hostHash() ||
      isAlive(Number(writer.pid), Number(writer.start))
    )
      continue
    const stale = path.join(folder, name)
    const stats = await lstat(stale)
    if (stats.isFile() && stats.uid === process.geteuid?.()) await unlink(stale)
  }
}

const suffixPattern =
  /^(?<host>[0-9a-f]{8})-(?<pid>\d{1,10})-(?<start>\d{1,20})\.[0-9a-f]{16}\.tmp$/

const prefixOf = (target: string): string => `.${stemOf(target)}.`

/**
 * The name of a file, or the part of it to which 75 bytes can be added: a file name has at most 255
 * bytes, however many characters those are.
 */
export const stemOf = (file: string): string => Utf8.clip(path.basename(file), 180)
const randomHex = () => randomBytes(8).toString("hex")

/**
 * Identifies the scope of process numbers: this machine, and on Linux this PID namespace. The
 * folder may be shared with others.
 */
const hostHash = (): string =>
  createHash("sha256")
    .update(`${hostname()}\0${orUndefined(() => readlinkSync("/proc/self/ns/pid")) ?? ""}`)
    .digest("hex")
    .slice(0, 8)

/**
 * Returns the start time of a process in ticks since boot (field 22 of /proc/PID/stat; proc(5)). It
 * tells a process from a later one with the same number.
 */
const startOf = (pid: number): number | undefined => {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/stat`, "latin1"))
  const ticks = text?.slice(text.lastIndexOf(")") + 2).split(" ")[19]
  return ticks === undefined ? undefined : Number(ticks)
}

const isAlive = (pid: number, start: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // EPERM means a process of another user.
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return false
  }
  return (startOf(pid) ?? start) === start
}

const orUndefined = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
