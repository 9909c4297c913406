// Content to and from the disk, in pieces, beside other work; and the moment when it is safe there.
import { execFile } from "node:child_process"
import { close, constants, fsync, open, read, write } from "node:fs"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { SafeDirectory } from "./SafeDirectory.ts"
import { limits, protocolLimits } from "./limits.ts"

type Result<A> = Effect.Effect<A, NodeJS.ErrnoException>

/** A call of the system that is done at once. */
export const attempt = <A>(use: () => A): Result<A> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(use())
    } catch (cause) {
      return Effect.fail(cause as NodeJS.ErrnoException)
    }
  })

/** Reads up to the end of the buffer; fewer bytes where the file ends. */
export const readAt = (fd: number, buffer: Buffer, position: number): Result<Buffer> =>
  Effect.async((resume) => {
    let at = 0
    const next = () =>
      read(fd, buffer, at, buffer.length - at, position + at, (error, bytes) => {
        if (error !== null) return resume(Effect.fail(error))
        at += bytes
        if (bytes === 0 || at === buffer.length)
          return resume(Effect.succeed(buffer.subarray(0, at)))
        next()
      })
    next()
  })

export const writeAt = (fd: number, bytes: Buffer, position: number): Promise<void> =>
  new Promise((resolve, reject) => {
    let at = 0
    const next = () =>
      write(fd, bytes, at, bytes.length - at, position + at, (error, written) => {
        if (error !== null) return reject(error)
        at += written
        if (at === bytes.length) return resolve()
        next()
      })
    next()
  })

/** A file's own bytes, or a folder's own names, are on the disk. */
const flushed = (fd: number): Result<void> =>
  Effect.async((resume) =>
    fsync(fd, (error) => resume(error === null ? Effect.void : Effect.fail(error)))
  )

const opened = (at: string): Result<number> =>
  Effect.async((resume) =>
    open(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, (error, fd) =>
      resume(error === null ? Effect.succeed(fd) : Effect.fail(error))
    )
  )

const closed = (fd: number): Effect.Effect<void> =>
  Effect.async((resume) => close(fd, () => resume(Effect.void)))

/** A file in a folder. */
export interface FlushTarget {
  readonly folder: SafeDirectory
  readonly partName: string
  readonly dev: number
}

/** All that was written of these files, and every name in these folders, is on the disk when it is done. */
export const flush = (
  files: ReadonlyArray<FlushTarget>,
  folders: ReadonlyArray<SafeDirectory>
): Result<void> => {
  const one = ({ folder, partName }: FlushTarget) =>
    Effect.acquireUseRelease(opened(folder.pathOf(partName)), flushed, closed)
  const apart = Effect.all(
    [
      Effect.forEach(files, one, { concurrency: 8, discard: true }),
      Effect.forEach(new Set(folders), ({ fd }) => flushed(fd), { concurrency: 8, discard: true })
    ],
    { concurrency: 2, discard: true }
  )
  if (files.length + folders.length < limits.flushTogether) return apart
  // One folder of each file system stands for all on it.
  const systems = new Map<number, SafeDirectory>()
  for (const { dev, folder } of files) systems.set(dev, folder)
  return Effect.forEach(systems.values(), together, { discard: true }).pipe(
    Effect.zipRight(
      Effect.forEach(new Set(folders), ({ fd }) => flushed(fd), { concurrency: 8, discard: true })
    ),
    Effect.catchAll(() => apart)
  )
}

/** Node has no syncfs: `sync -f` is it. A hundred files cost as much as one, and each by itself a hundred times as much. */
const together = ({ fd }: SafeDirectory): Effect.Effect<void, Error> =>
  Effect.async((resume) => {
    const child = execFile(
      "sync",
      ["-f", `/proc/${process.pid}/fd/${fd}`],
      { timeout: flushMillis },
      (error) => resume(error === null ? Effect.void : Effect.fail(error))
    )
    return Effect.sync(() => child.kill())
  })

const flushMillis = Duration.toMillis(limits.flushDeadline)

/** Memory of one piece each, used in turn. */
export class PieceBuffers {
  readonly #buffers: Array<Buffer> = []
  #turn = 0

  next(): Buffer {
    const at = this.#turn++ % limits.pieceBuffers
    return (this.#buffers[at] ??= Buffer.allocUnsafeSlow(protocolLimits.pieceBytes))
  }
}
