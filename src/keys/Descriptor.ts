// Reads an open file descriptor: a file, a pipe or a socket, whose other end may never write.
import { close, fstat, read as readFile } from "node:fs"
import { Socket } from "node:net"
import { isatty } from "node:tty"
import { promisify } from "node:util"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { limits } from "./limits.ts"
import * as OwnDescriptors from "./OwnDescriptors.ts"

export interface ReadOptions {
  /** Reading stops after this many bytes and one more. */
  readonly maxBytes: number
  /** Returns true when the bytes read so far are enough, before the end of the input. */
  readonly isComplete?: (bytes: Uint8Array) => boolean
  /** Default: `limits.descriptorDeadline`. */
  readonly deadline?: Duration.DurationInput
}

/** Parses the number of a descriptor; undefined when the text is not one. */
export const parse = (text: string): number | undefined =>
  /^\d{1,9}$/.test(text) ? Number(text) : undefined

/**
 * Reads a descriptor to its end. Returns at most `maxBytes` + 1 bytes, so that the caller can tell
 * longer input apart. Fails with a clause: "is not open". Closes the descriptor afterwards, so that
 * no child process inherits it; 0, 1 and 2 stay open.
 */
export const read = (
  descriptor: number,
  { maxBytes, isComplete = () => false, deadline = limits.descriptorDeadline }: ReadOptions
): Effect.Effect<Uint8Array, string> =>
  Effect.gen(function* () {
    const stats = yield* Effect.tryPromise({
      try: () => promisify(fstat)(descriptor),
      catch: problemOf
    })
    const problem = yield* Effect.promise(() => OwnDescriptors.problemOf(descriptor))
    if (problem !== undefined) return yield* Effect.fail(problem)
    if (isatty(descriptor))
      return yield* Effect.fail("is a terminal; secrets are not read from terminals")
    if (stats.isFile() || stats.isCharacterDevice())
      return yield* Effect.ensuring(
        Effect.tryPromise({ try: () => readFromFile(descriptor, maxBytes), catch: problemOf }),
        closeInherited(descriptor)
      )
    if (!stats.isFIFO() && !stats.isSocket())
      return yield* Effect.fail("is neither a file nor a pipe")
    return yield* Effect.timeoutFail(readFromStream(descriptor, maxBytes, isComplete), {
      duration: deadline,
      onTimeout: () => `did not end within ${Duration.format(deadline)}`
    })
  })

/** Closes a descriptor after it was read, unless it is 0, 1 or 2. */
const closeInherited = (descriptor: number): Effect.Effect<void> =>
  descriptor <= 2
    ? Effect.void
    : Effect.ignore(Effect.tryPromise(() => promisify(close)(descriptor)))

const problemOf = (cause: unknown): string => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return code === "EBADF" ? "is not open" : `cannot be read (${code})`
}

const readFromFile = async (descriptor: number, maxBytes: number): Promise<Uint8Array> => {
  const buffer = Buffer.alloc(maxBytes + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await promisify(readFile)(
      descriptor,
      buffer,
      length,
      buffer.length - length,
      null
    )
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

// Through the event loop, not fs.read: a thread blocked in read(2) keeps the process from exiting.
const readFromStream = (
  descriptor: number,
  maxBytes: number,
  isComplete: (bytes: Uint8Array) => boolean
): Effect.Effect<Uint8Array, string> =>
  Effect.async((resume) => {
    let socket: Socket
    try {
      socket = new Socket({ fd: descriptor, readable: true, writable: false })
    } catch (cause) {
      return resume(Effect.fail(problemOf(cause)))
    }
    let bytes = Buffer.alloc(0)
    const finish = () => {
      socket.destroy()
      resume(Effect.succeed(bytes.subarray(0, maxBytes + 1)))
    }
    socket.on("error", (cause) => resume(Effect.fail(problemOf(cause))))
    socket.on("end", finish)
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length > maxBytes || isComplete(bytes)) finish()
    })
    return Effect.sync(() => socket.destroy())
  })
