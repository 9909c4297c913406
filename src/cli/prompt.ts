// The person at the terminal: a question on stderr, and a line typed on standard input. The terminal itself edits and echoes it.
import { createReadStream, fstatSync } from "node:fs"
import { Socket } from "node:net"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import * as Effect from "effect/Effect"

/** The most that is read of a line, in bytes. */
const mostBytes = 1024

/** True when somebody can be asked. */
export const isPossible = (): boolean => process.stdin.isTTY === true

/** The line without what surrounds it; undefined when the terminal has ended (Ctrl-D). Ctrl-C ends the command as always. */
export const ask = (question: string): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    process.stderr.write(question)
    const lines = createInterface({ input: process.stdin, terminal: false })
    lines.once("line", (line) => {
      resume(Effect.succeed(line.slice(0, mostBytes).trim()))
      lines.close()
    })
    // After a line this is not heard any more.
    lines.once("close", () => resume(Effect.succeed(undefined)))
    return Effect.sync(() => lines.close())
  })

/** The first line of an open file descriptor, a file, a pipe or a socket; it fails with a clause. */
export const lineOf = (descriptor: number): Effect.Effect<string, string> =>
  Effect.async((resume) => {
    let stream: Readable
    try {
      stream = opened(descriptor)
    } catch (cause) {
      return resume(Effect.fail(clauseOf(cause)))
    }
    let bytes = Buffer.alloc(0)
    const end = () => {
      stream.destroy()
      resume(Effect.succeed(bytes.subarray(0, mostBytes).toString().split("\n", 1)[0] ?? ""))
    }
    stream.on("error", (cause) => resume(Effect.fail(clauseOf(cause))))
    stream.on("end", end)
    stream.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length > mostBytes || bytes.includes(0x0a)) end()
    })
    return Effect.sync(() => stream.destroy())
  })

/** Not fs for a pipe: a thread that waits in read(2) would keep the process from ending. */
const opened = (descriptor: number): Readable =>
  descriptor === 0
    ? process.stdin
    : fstatSync(descriptor).isFile()
      ? createReadStream("", { fd: descriptor })
      : new Socket({ fd: descriptor, readable: true, writable: false })

const clauseOf = (cause: unknown): string => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return code === "EBADF" ? "is not open" : `cannot be read (${code})`
}
