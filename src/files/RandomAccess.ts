// Any part of an encrypted file, without what stands before it.
import { read } from "node:fs"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import {
  chunkBytes,
  openChunk,
  plaintextLength,
  prefixBytes,
  sealedChunkBytes,
  tagBytes,
  type MessageKeys
} from "./Cobblestone.ts"
import * as EncryptedFile from "./EncryptedFile.ts"
import { FileTampered, FileTruncated, FileUnreadable, type DamagedError } from "./FileErrors.ts"
import * as Input from "./Input.ts"
import type { DecryptionKeys, UnwrapError } from "./Stanzas.ts"
import { readMessageKeys } from "./Payload.ts"

/** An encrypted file of which any part can be read. */
export interface RandomAccess {
  readonly origin: EncryptedFile.Origin
  /** Bytes of the content: proven, by the last chunk. */
  readonly size: number
  /**
   * The content from byte `start` on, at most `length` bytes of it, fewer at its end. Each byte is proven to be the one at its place.
   */
  readonly readRange: (
    start: number,
    length: number
  ) => Effect.Effect<Uint8Array, FileTampered | FileUnreadable>
}

/** Opens a file to be read anywhere, for as long as the scope is open. */
export const open = <E>(
  file: string,
  keys: DecryptionKeys<E>
): Effect.Effect<RandomAccess, E | UnwrapError | DamagedError | FileUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    const input = yield* Input.fromFile(file)
    if (input.file === undefined)
      return yield* new FileUnreadable({ file, detail: "is no regular file" })
    const { origin, payload } = yield* EncryptedFile.unlock(input, keys)
    const message = yield* readMessageKeys(input, payload)
    const at = payload.at + prefixBytes
    const size = plaintextLength(input.file.size - at)
    if (size === undefined) return yield* new FileTruncated({ file })
    const { fd } = input.file
    const readRange = (start: number, length: number) =>
      start >= size || length <= 0
        ? Effect.succeed(Buffer.alloc(0))
        : Effect.flatMap(
            attempt(file, () =>
              range(fd, message, at, size, start, Math.min(start + length, size))
            ),
            (bytes) =>
              bytes === undefined
                ? new FileTampered({ file, detail: "its content was changed" })
                : Effect.succeed(bytes)
          )
    // "This check must be performed if the application requests a seek offset relative to the end."
    const last = yield* attempt(file, () =>
      chunkAt(fd, message, at, size, Math.floor(size / chunkBytes))
    )
    if (last === undefined)
      return yield* new FileTampered({ file, detail: "its end was changed or cut off" })
    return { origin, size, readRange }
  })

const readAt = promisify(read)

const range = async (
  fd: number,
  keys: MessageKeys,
  at: number,
  size: number,
  start: number,
  end: number
) => {
  const first = Math.floor(start / chunkBytes)
  const parts: Array<Buffer> = []
  for (let index = first; index * chunkBytes < end; index++) {
    const chunk = await chunkAt(fd, keys, at, size, index)
    if (chunk === undefined) return undefined
    parts.push(chunk)
  }
  return Buffer.concat(parts).subarray(start - first * chunkBytes, end - first * chunkBytes)
}

/** A chunk's plaintext; undefined when it does not open. */
const chunkAt = async (fd: number, keys: MessageKeys, at: number, size: number, index: number) => {
  const length = Math.min(chunkBytes, size - index * chunkBytes)
  const sealed = Buffer.alloc(length + tagBytes)
  const { bytesRead } = await readAt(fd, sealed, 0, sealed.length, at + index * sealedChunkBytes)
  const plaintext = Buffer.alloc(length)
  return bytesRead === sealed.length && openChunk(keys, index, sealed, plaintext, 0) >= 0
    ? plaintext
    : undefined
}

const attempt = <A>(file: string, run: () => Promise<A>): Effect.Effect<A, FileUnreadable> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) =>
      new FileUnreadable({
        file,
        detail: `cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown error"})`
      })
  })
