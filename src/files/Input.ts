// Sources of bytes: a file, or a stream. The start is taken, then the rest is streamed.
import { constants, readSync, type Stats } from "node:fs"
import { open, type FileHandle } from "node:fs/promises"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { FileUnreadable } from "./FileErrors.ts"
import { limits } from "./limits.ts"
import { writeBack } from "./writeBack.ts"

/** A source of bytes. */
export interface Input<E = FileUnreadable> {
  /** The name in errors. */
  readonly name: string
  /** Reads the next bytes; fewer at the end. */
  readonly take: (bytes: number) => Effect.Effect<Uint8Array, E>
  /** The bytes that were not taken. */
  readonly rest: Stream.Stream<Uint8Array, E>
  /** The regular file, for reading at any position. */
  readonly file?: RegularFile
}

/** An open regular file. */
export interface RegularFile {
  readonly fd: number
  /** Length in bytes when it was opened. */
  readonly size: number
  readonly stats: Stats
  /**
   * True when its length and times are those of the opening. Programs set the time of modification
   * back; the ctime only the system sets.
   */
  readonly isUnchanged: Effect.Effect<boolean>
}

/**
 * Opens the file until the scope closes. It can be interrupted: a FIFO opens when it has a writer,
 * which may be never.
 */
const openHandle = (
  attempt: <A>(run: () => Promise<A>) => Effect.Effect<A, FileUnreadable>,
  file: string
): Effect.Effect<FileHandle, FileUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    let handle: FileHandle | undefined
    let isOver = false
    const close = () => handle?.close().catch(() => {}) ?? Promise.resolve()
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => {
        isOver = true
        return close()
      })
    )
    return yield* attempt(async () => {
      handle = await open(file, constants.O_RDONLY | constants.O_NOCTTY)
      if (isOver) await close()
      return handle
    })
  })

/** Opens a file, or anything else at the path that can be read: a pipe, a device. */
export const fromFile = (file: string): Effect.Effect<Input, FileUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => readError(file, cause) })
    const handle = yield* openHandle(attempt, file)
    const stats = yield* attempt(() => handle.stat())
    const { ctimeNs } = yield* attempt(() => handle.stat({ bigint: true }))
    // After the stat, so that a write directly after the write-back shows.
    if (stats.isFile()) yield* writeBack(handle.fd)
    if (stats.isDirectory())
      return yield* new FileUnreadable({ file, detail: "is a folder; name a file" })
    const next = (bytes: number) =>
      attempt(async () => {
        const buffer = Buffer.allocUnsafeSlow(bytes)
        // Synchronously from a file: a read in another thread costs as much as decrypting the
        // bytes. A pipe may block for hours.
        const length = stats.isFile()
          ? readSync(handle.fd, buffer)
          : (await handle.read(buffer, 0, bytes, null)).bytesRead
        return buffer.subarray(0, length)
      })
    const input = yield* fromStream(
      file,
      Stream.repeatEffectOption(
        Effect.flatMap(Effect.mapError(next(limits.streamReadBytes), Option.some), (bytes) =>
          bytes.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(bytes)
        )
      )
    )
    if (!stats.isFile() || !(yield* attempt(async () => isWhole(handle.fd, stats.size))))
      return input
    const isUnchanged = Effect.promise(() =>
      handle.stat({ bigint: true }).then(
        (now) => Number(now.size) === stats.size && now.ctimeNs === ctimeNs,
        () => false
      )
    )
    return { ...input, file: { fd: handle.fd, size: stats.size, stats, isUnchanged } }
  })

/**
 * False for a file whose size is not that of its content, as of /proc (0 bytes) and /sys (a page):
 * it is read to its end.
 */
const isWhole = (fd: number, size: number): boolean =>
  readSync(fd, Buffer.alloc(1), 0, 1, Math.max(0, size - 1)) === Math.min(1, size)

/** Reads a stream while the scope is open. */
export const fromStream = <E>(
  name: string,
  stream: Stream.Stream<Uint8Array, E>
): Effect.Effect<Input<E>, never, Scope.Scope> =>
  Effect.map(Stream.toPull(stream), (pull) => {
    let buffered: Uint8Array = new Uint8Array(0)
    let ended = false
    const take = (bytes: number): Effect.Effect<Uint8Array, E> =>
      Effect.gen(function* () {
        while (buffered.length < bytes && !ended) {
          const pulled = yield* Effect.catchAll(Effect.asSome(pull), (end) =>
            Option.isSome(end) ? Effect.fail(end.value) : Effect.succeedNone
          )
          if (Option.isNone(pulled)) ended = true
          else buffered = Buffer.concat([buffered, ...Chunk.toReadonlyArray(pulled.value)])
        }
        const taken = buffered.subarray(0, bytes)
        buffered = buffered.subarray(taken.length)
        return taken
      })
    const rest = Stream.suspend(() =>
      ended
        ? Stream.make(buffered)
        : Stream.concat(Stream.make(buffered), Stream.repeatEffectChunkOption(pull))
    )
    return { name, take, rest }
  })

/** Makes the error for an error code of reading. */
export const readError = (file: string, cause: unknown): FileUnreadable => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return new FileUnreadable({ file, detail: readingHints[code] ?? `cannot be read (${code})` })
}

const readingHints: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EACCES: "permission denied"
}
