// Which descriptors are this process's own: Node opens some before any program runs, and closes none of them unharmed. Taken for a key
// they end it with a core, or hang.
import { readdir, readFile, readlink } from "node:fs/promises"

const folder = "/proc/self/fd"

/**
 * Why that descriptor is not one that the process was started with, as a clause; undefined where it may be. Known from Linux's /proc:
 * what is no file, pipe or socket, and a pipe whose other end is here too (of an end that was given, others hold the other).
 */
export const problemOf = async (descriptor: number): Promise<string | undefined> => {
  const target = await targetOf(descriptor)
  if (target.startsWith("anon_inode:")) return "is not open"
  if (!target.startsWith("pipe:")) return undefined
  const all = await readdir(folder).catch(() => [])
  const writable = await Promise.all(
    all.map(async (name) => (await targetOf(name)) === target && (await isWritable(name)))
  )
  return writable.includes(true)
    ? "is not open, or is a pipe that ends in this process itself"
    : undefined
}

/** `pipe:[4711]`, `/dev/null`; "" where nothing is known. */
const targetOf = (descriptor: number | string): Promise<string> =>
  readlink(`${folder}/${descriptor}`).catch(() => "")

/** By the last octal digit of its flags: 0 to read, 1 to write, 2 for both. */
const isWritable = (descriptor: string): Promise<boolean> =>
  readFile(`/proc/self/fdinfo/${descriptor}`, "utf8").then(
    (info) => /^flags:\s*[0-7]*[12]$/m.test(info),
    () => false
  )
