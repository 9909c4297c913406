// Reads any range of an encrypted file without decrypting what precedes it.
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

/** An encrypted file that can be read at any position. */
export interface RandomAccess {
  readonly origin: EncryptedFile.Origin
  /** Length of the content in bytes, authenticated by the last chunk. */
  readonly size: number
  /**
   * Reads at most `length` bytes of the content from byte `start` on; fewer at its end. Every byte
   * is authentic and in its place.
   */
  readonly readRange: (
    start: number,
    length: number
  ) => Effect.Effect<Uint8Array, FileTampered | FileUnreadable>
}

/** Opens an encrypted file for random access while the scope is open. */
export const open = <E>(
  file: string,
  keys: DecryptionKeys<E>
): Effect.Effect<RandomAccess, E | UnwrapError | DamagedError | FileUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    const input = yield* Input.fromFile(file)
    if (input.file === undefined)
      return yield* new FileUnreadable({ file, detail: "is not a regular file" })
    const { origin, payload } = yield* EncryptedFile.unlock(input, keys)
    const messageKeys = yield* readMessageKeys(input, payload)
    const chunksAt = payload.at + prefixBytes
    const size = plaintextLength(input.file.size - chunksAt)
    if (size === undefined) return yield* new FileTruncated({ file })
    const source: Source = { fd: input.file.fd, keys: messageKeys, chunksAt, size }
    const readRange = (start: number, length: number) =>
      start >= size || length <= 0
        ? Effect.succeed(Buffer.alloc(0))
        : Effect.flatMap(
            attempt(file, () => openRange(source, start, Math.min(start + length, size))),
            (bytes) =>
              bytes === undefined
                ? new FileTampered({ file, detail: "its content was changed" })
                : Effect.succeed(bytes)
          )
    // c2sp.org/chunked-encryption: "This check must be performed if the application requests a seek
    // offset relative to the end."
    const last = yield* attempt(file, () => openChunkAt(source, Math.floor(size / chunkBytes)))
    if (last === undefined)
      return yield* new FileTampered({ file, detail: "its end was changed or cut off" })
    return { origin, size, readRange }
  })

/** An open file and its message. */
interface Source {
  readonly fd: number
  readonly keys: MessageKeys
  /** Position of the first chunk in the file. */
  readonly chunksAt: number
  /** Length of the content. */
  readonly size: number
}

const readAt = promisify(read)

/** Returns the content from `start` to `end`; undefined when a chunk does not open. */
const openRange = async (source: Source, start: number, end: number) => {
  const first = Math.floor(start / chunkBytes)
  const parts: Array<Buffer> = []
  for (let index = first; index * chunkBytes < end; index++) {
    const chunk = await openChunkAt(source, index)
    if (chunk === undefined) return undefined
    parts.push(chunk)
  }
  return Buffer.concat(parts).subarray(start - first * chunkBytes, end - first * chunkBytes)
}

/** Returns the plaintext of a chunk; undefined when it does not open. */
const openChunkAt = async ({ fd, keys, chunksAt, size }: Source, index: number) => {
  const length = Math.min(chunkBytes, size - index * chunkBytes)
  const sealed = Buffer.alloc(length + tagBytes)
  const position = chunksAt + index * sealedChunkBytes
  const { bytesRead } = await readAt(fd, sealed, 0, sealed.length, position)
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
