// Reading an open file descriptor, which may be a file, a pipe or a socket, and may have nobody at its other end.
import { fstat, read as readFile } from "node:fs"
import { Socket } from "node:net"
import { isatty } from "node:tty"
import { promisify } from "node:util"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { limits } from "./limits.ts"
import * as OwnDescriptors from "./OwnDescriptors.ts"

export interface ReadOptions {
  /** More bytes than this are not read. */
  readonly maxBytes: number
  /** True when what has come is enough, before its end. */
  readonly isComplete?: (bytes: Uint8Array) => boolean
  readonly deadline?: Duration.DurationInput
}

/** The number of a descriptor, or undefined when the text is none. */
export const parse = (text: string): number | undefined =>
  /^\d{1,9}$/.test(text) ? Number(text) : undefined

/**
 * What comes until its end, at most `most` + 1 bytes, so that the caller sees when there was more. It fails with a clause: "is not
 * open". A pipe or a socket is closed afterwards, except 0, 1 and 2.
 */
export const read = (
  descriptor: number,
  { maxBytes, isComplete = () => false, deadline = limits.descriptorDeadline }: ReadOptions
): Effect.Effect<Uint8Array, string> =>
  Effect.gen(function* () {
    const stats = yield* Effect.tryPromise({
      try: () => promisify(fstat)(descriptor),
      catch: clauseOf
    })
    const own = yield* Effect.promise(() => OwnDescriptors.problemOf(descriptor))
    if (own !== undefined) return yield* Effect.fail(own)
    if (isatty(descriptor)) return yield* Effect.fail("is a terminal; a secret is not typed there")
    if (stats.isFile() || stats.isCharacterDevice())
      return yield* Effect.tryPromise({ try: () => ofFile(descriptor, maxBytes), catch: clauseOf })
    if (!stats.isFIFO() && !stats.isSocket())
      return yield* Effect.fail("is neither a file nor a pipe")
    return yield* Effect.timeoutFail(ofStream(descriptor, maxBytes, isComplete), {
      duration: deadline,
      onTimeout: () => `gave no end within ${Duration.format(deadline)}`
    })
  })

const clauseOf = (cause: unknown): string => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return code === "EBADF" ? "is not open" : `cannot be read (${code})`
}

const ofFile = async (descriptor: number, most: number): Promise<Uint8Array> => {
  const buffer = Buffer.alloc(most + 1)
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

// Through the event loop, not fs.read: a thread that waits in read(2) for ever would keep the process from ending.
const ofStream = (
  descriptor: number,
  most: number,
  enough: (bytes: Uint8Array) => boolean
): Effect.Effect<Uint8Array, string> =>
  Effect.async((resume) => {
    let socket: Socket
    try {
      socket = new Socket({ fd: descriptor, readable: true, writable: false })
    } catch (cause) {
      return resume(Effect.fail(clauseOf(cause)))
    }
    let bytes = Buffer.alloc(0)
    const end = () => {
      socket.destroy()
      resume(Effect.succeed(bytes.subarray(0, most + 1)))
    }
    socket.on("error", (cause) => resume(Effect.fail(clauseOf(cause))))
    socket.on("end", end)
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length > most || enough(bytes)) end()
    })
    return Effect.sync(() => socket.destroy())
  })
