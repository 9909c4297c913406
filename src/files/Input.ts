// Where bytes come from: a file, or a stream. The beginning is taken, then the rest flows.
import { constants, readSync, type Stats } from "node:fs"
import { open } from "node:fs/promises"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { FileUnreadable } from "./FileErrors.ts"
import { limits } from "./limits.ts"

/** Where bytes are read from. */
export interface Input<E = FileUnreadable> {
  /** As errors name it. */
  readonly name: string
  /** The next bytes, fewer at the end. */
  readonly take: (bytes: number) => Effect.Effect<Uint8Array, E>
  /** What was not taken, in pieces. */
  readonly rest: Stream.Stream<Uint8Array, E>
  /** A regular file, which can be read anywhere. */
  readonly file?: RegularFile
}

/** A regular file that is open. */
export interface RegularFile {
  readonly fd: number
  /** Its length when it was opened. */
  readonly size: number
  readonly stats: Stats
  /** Whether it is as it was when it was opened. */
  readonly isUnchanged: Effect.Effect<boolean>
}

/** The file, or what else is at the path and can be read: a pipe, a device. */
export const fromFile = (file: string): Effect.Effect<Input, FileUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (cause) => readError(file, cause) })
    const handle = yield* Effect.acquireRelease(
      attempt(() => open(file, constants.O_RDONLY | constants.O_NOCTTY)),
      (handle) => Effect.promise(() => handle.close().catch(() => {}))
    )
    const stats = yield* attempt(() => handle.stat())
    if (stats.isDirectory())
      return yield* new FileUnreadable({ file, detail: "is a folder; name a file" })
    const next = (bytes: number) =>
      attempt(async () => {
        const buffer = Buffer.allocUnsafeSlow(bytes)
        // A file answers at once: waiting for another thread to read it costs as much as decrypting it. A pipe may not answer for hours.
        const length = stats.isFile()
          ? readSync(handle.fd, buffer)
          : (await handle.read(buffer, 0, bytes, null)).bytesRead
        return buffer.subarray(0, length)
      })
    const input = yield* fromStream(
      file,
      Stream.repeatEffectOption(
        Effect.flatMap(Effect.mapError(next(limits.streamedBytes), Option.some), (bytes) =>
          bytes.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(bytes)
        )
      )
    )
    if (!stats.isFile()) return input
    const isUnchanged = Effect.promise(() =>
      handle.stat().then(
        ({ size, mtimeMs }) => size === stats.size && mtimeMs === stats.mtimeMs,
        () => false
      )
    )
    return { ...input, file: { fd: handle.fd, size: stats.size, stats, isUnchanged } }
  })

/** A stream, for as long as the scope is open. */
export const fromStream = <E>(
  name: string,
  stream: Stream.Stream<Uint8Array, E>
): Effect.Effect<Input<E>, never, Scope.Scope> =>
  Effect.map(Stream.toPull(stream), (pull) => {
    let held: Uint8Array = new Uint8Array(0)
    let ended = false
    const take = (bytes: number): Effect.Effect<Uint8Array, E> =>
      Effect.gen(function* () {
        while (held.length < bytes && !ended) {
          const pulled = yield* Effect.catchAll(Effect.asSome(pull), (end) =>
            Option.isSome(end) ? Effect.fail(end.value) : Effect.succeedNone
          )
          if (Option.isNone(pulled)) ended = true
          else held = Buffer.concat([held, ...Chunk.toReadonlyArray(pulled.value)])
        }
        const taken = held.subarray(0, bytes)
        held = held.subarray(taken.length)
        return taken
      })
    const rest = Stream.suspend(() =>
      ended
        ? Stream.make(held)
        : Stream.concat(Stream.make(held), Stream.repeatEffectChunkOption(pull))
    )
    return { name, take, rest }
  })

/** What is said of an error code, wherever reading met it. */
export const readError = (file: string, cause: unknown): FileUnreadable => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return new FileUnreadable({ file, detail: readingHints[code] ?? `cannot be read (${code})` })
}

const readingHints: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read it"
}
