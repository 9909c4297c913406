// Descriptors that belong to Node itself: it opens some before any program runs. Reading one of
// them as a key, or closing it, crashes or hangs the process.
import { readdir, readFile, readlink } from "node:fs/promises"

const folder = "/proc/self/fd"

/**
 * Returns why a descriptor was not inherited from the parent process, as a clause; undefined when
 * it may have been. On Linux, /proc tells: Node's own descriptors are neither files, pipes nor
 * sockets, or are pipes whose writing end is in this process too (the parent holds the writing end
 * of an inherited one).
 */
export const problemOf = async (descriptor: number): Promise<string | undefined> => {
  const target = await targetOf(descriptor)
  if (target.startsWith("anon_inode:")) return "is not open"
  if (!target.startsWith("pipe:")) return undefined
  const names = await readdir(folder).catch(() => [])
  const writable = await Promise.all(
    names.map(async (name) => (await targetOf(name)) === target && (await isWritable(name)))
  )
  return writable.includes(true)
    ? "is not open, or is a pipe within this process itself"
    : undefined
}

/** Returns `pipe:[4711]` or `/dev/null`; "" when it is unknown. */
const targetOf = (descriptor: number | string): Promise<string> =>
  readlink(`${folder}/${descriptor}`).catch(() => "")

/** Looks at the last octal digit of the flags: 0 is read-only, 1 write-only, 2 read-write. */
const isWritable = (descriptor: string): Promise<boolean> =>
  readFile(`/proc/self/fdinfo/${descriptor}`, "utf8").then(
    (info) => /^flags:\s*[0-7]*[12]$/m.test(info),
    () => false
  )
