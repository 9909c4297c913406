// Asynchronous reads, writes and flushes of file content, as effects that fail with system errors.
import { close, constants, fsync, open, read, write } from "node:fs"
import * as Effect from "effect/Effect"
import { limits, protocolLimits } from "./limits.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"

type Result<A> = Effect.Effect<A, NodeJS.ErrnoException>

/** Runs a synchronous system call; an exception becomes the failure. */
export const attempt = <A>(use: () => A): Result<A> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(use())
    } catch (cause) {
      return Effect.fail(cause as NodeJS.ErrnoException)
    }
  })

/** Lets the event loop run once, so that long synchronous work does not block other sessions. */
export const yieldTurn = Effect.async<void>(
  (resume) => void setImmediate(() => resume(Effect.void))
)

/** Waits in real time: the disk knows no other clock. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Fills `buffer` from a position of a file; returns fewer bytes at the end of the file. */
export const readAt = (fd: number, buffer: Buffer, position: number): Result<Buffer> =>
  Effect.async((resume) => {
    let filled = 0
    const next = () =>
      read(fd, buffer, filled, buffer.length - filled, position + filled, (error, bytes) => {
        if (error !== null) return resume(Effect.fail(error))
        filled += bytes
        if (bytes === 0 || filled === buffer.length)
          return resume(Effect.succeed(buffer.subarray(0, filled)))
        next()
      })
    next()
  })

/** Writes all bytes at a position of a file; a promise, because it runs beside a reading fiber. */
export const writeAt = (fd: number, bytes: Buffer, position: number): Promise<void> =>
  new Promise((resolve, reject) => {
    let done = 0
    const next = () =>
      write(fd, bytes, done, bytes.length - done, position + done, (error, written) => {
        if (error !== null) return reject(error)
        done += written
        if (done === bytes.length) return resolve()
        next()
      })
    next()
  })

/** Flushes the content of an open file, or the names in an open directory: fsync(2). */
export const sync = (fd: number): Result<void> =>
  Effect.async((resume) =>
    fsync(fd, (error) => resume(error === null ? Effect.void : Effect.fail(error)))
  )

const openToSync = (file: string): Result<number> =>
  Effect.async((resume) =>
    open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, (error, fd) =>
      resume(error === null ? Effect.succeed(fd) : Effect.fail(error))
    )
  )

const closeQuietly = (fd: number): Effect.Effect<void> =>
  Effect.async((resume) => close(fd, () => resume(Effect.void)))

/** A file to flush. */
export interface FlushTarget {
  readonly directory: SafeDirectory
  readonly partialName: string
}

/**
 * Makes the content of a file durable, by fsync(2): file systems do not all pass a flush of
 * everything (syncfs) on to the disk. Those that run at the same time share a commit of the journal.
 */
export const flushFile = ({ directory, partialName }: FlushTarget): Result<void> =>
  Effect.acquireUseRelease(
    Effect.suspend(() => openToSync(directory.pathOf(partialName))),
    sync,
    closeQuietly
  )

/**
 * Makes the names in a directory durable. Fails with EMOVED if the directory is no longer at its
 * path: a receipt promises the name, not only the content.
 */
export const flushDirectory = (directory: SafeDirectory): Result<void> =>
  Effect.zipRight(
    sync(directory.fd),
    attempt(() => directory.requireInPlace())
  )

/** Flushes each of these; returns why some could not be flushed. A second attempt proves nothing. */
export const flushEach = <Target>(
  targets: Iterable<Target>,
  flush: (target: Target) => Result<void>
): Effect.Effect<ReadonlyMap<Target, NodeJS.ErrnoException>> =>
  Effect.suspend(() => {
    const failures = new Map<Target, NodeJS.ErrnoException>()
    const note = (target: Target) =>
      Effect.catchAll(flush(target), (cause) => Effect.sync(() => void failures.set(target, cause)))
    return Effect.as(
      Effect.forEach(targets, note, { concurrency: limits.flushes, discard: true }),
      failures
    )
  })

/** Reusable buffers of one piece each, handed out in turn. */
export class PieceBuffers {
  readonly #buffers: Array<Buffer> = []
  readonly #count: number
  #turn = 0

  constructor(count: number = limits.pieceBuffers) {
    this.#count = count
  }

  next(): Buffer {
    const index = this.#turn++ % this.#count
    return (this.#buffers[index] ??= Buffer.allocUnsafeSlow(protocolLimits.pieceBytes))
  }
}
