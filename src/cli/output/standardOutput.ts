import { readFileSync, readlinkSync } from "node:fs"

/**
 * False where nothing that is written to standard output comes to anybody who asked for it: it was closed when the process was started
 * (`>&-`). Node puts /dev/null there, open for reading, too, and so do programs that start others without an output; a
 * person who wants it thrown away says `> /dev/null`, which is open for writing alone. Known on Linux; elsewhere it counts as open.
 */
export const isOpen = (): boolean => {
  try {
    return (
      readlinkSync("/proc/self/fd/1") !== "/dev/null" ||
      !readAndWrite.test(readFileSync("/proc/self/fdinfo/1", "utf8"))
    )
  } catch {
    return true
  }
}

/** The last octal digit of the flags: 0 to read, 1 to write, 2 for both. */
const readAndWrite = /^flags:\s*[0-7]*2$/m
