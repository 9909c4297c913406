import { readFileSync, readlinkSync } from "node:fs"
import * as Effect from "effect/Effect"
import { Streams } from "../Streams.ts"

/**
 * False when the process was started without a standard output (`>&-`), so that everything written
 * is lost. Node then opens /dev/null for reading and writing, as do programs that start others
 * without an output; `> /dev/null` opens it for writing only and counts as open. Only Linux tells
 * the flags; elsewhere the result is always true.
 */
export const isOpen: Effect.Effect<boolean> = Effect.map(Streams, ({ descriptors }) => {
  if (descriptors.stdout === undefined) return true
  try {
    return (
      readlinkSync(`/proc/self/fd/${descriptors.stdout}`) !== "/dev/null" ||
      !readAndWrite.test(readFileSync(`/proc/self/fdinfo/${descriptors.stdout}`, "utf8"))
    )
  } catch {
    return true
  }
})

/** The last octal digit of the flags is 0 for O_RDONLY, 1 for O_WRONLY, 2 for O_RDWR. */
const readAndWrite = /^flags:\s*[0-7]*2$/m
