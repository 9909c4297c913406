// The name a file has until it is whole. It says who writes it, so that what a killed process has left can be told from what is under way.
import { createHash, randomBytes } from "node:crypto"
import { readFileSync, readlinkSync } from "node:fs"
import { lstat, opendir, unlink } from "node:fs/promises"
import { hostname } from "node:os"
import path from "node:path"

/** A new name beside that one. */
export const nameFor = (target: string): string =>
  path.join(
    path.dirname(target),
    `${prefixOf(target)}${here()}-${process.pid}-${startOf(process.pid) ?? 0}.${randomHex()}.tmp`
  )

/** Removes what processes that are no more have left for that name: this user's files, of this machine. Others cannot be told. */
export const removeStale = async (target: string): Promise<void> => {
  const [folder, prefix] = [path.dirname(target), prefixOf(target)]
  for await (const { name } of await opendir(folder)) {
    const written = name.startsWith(prefix)
      ? form.exec(name.slice(prefix.length))?.groups
      : undefined
    if (
      written === undefined ||
      written.place !== here() ||
      isAlive(Number(written.pid), Number(written.start))
    )
      continue
    const stale = path.join(folder, name)
    const stats = await lstat(stale)
    if (stats.isFile() && stats.uid === process.geteuid?.()) await unlink(stale)
  }
}

const form = /^(?<place>[0-9a-f]{8})-(?<pid>\d{1,10})-(?<start>\d{1,20})\.[0-9a-f]{16}\.tmp$/

/** The longest name has 255 bytes. */
const prefixOf = (target: string): string => `.${path.basename(target).slice(0, 180)}.`
const randomHex = () => randomBytes(8).toString("hex")

/** Where process numbers mean the same: this machine, and on Linux this namespace. A folder may be shared with others. */
const here = (): string =>
  createHash("sha256")
    .update(`${hostname()}\0${found(() => readlinkSync("/proc/self/ns/pid")) ?? ""}`)
    .digest("hex")
    .slice(0, 8)

/** When it started, in ticks since the machine did (field 22 of /proc/PID/stat): another process may have its number now. */
const startOf = (pid: number): number | undefined => {
  const text = found(() => readFileSync(`/proc/${pid}/stat`, "latin1"))
  const ticks = text?.slice(text.lastIndexOf(")") + 2).split(" ")[19]
  return ticks === undefined ? undefined : Number(ticks)
}

const isAlive = (pid: number, start: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // EPERM: somebody else's.
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return false
  }
  return (startOf(pid) ?? start) === start
}

const found = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
