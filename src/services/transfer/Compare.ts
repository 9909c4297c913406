// Digests a file that already exists at the destination, so that the sender can tell whether it is
// the same. TRANSFER.md section 4, answers `compare` and `differs`.
import { closeSync } from "node:fs"
import * as Effect from "effect/Effect"
import { blockCount, blockDigests, fileDigest } from "./Digest.ts"
import { attempt, sync, type PieceBuffers } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { Policy } from "./Messages.ts"
import * as Names from "./Names.ts"
import * as PartialFile from "./PartialFile.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"

/** An existing file that may have the content of an entry. */
export interface ExistingCopy {
  /** Digests of all its blocks. */
  readonly digests: ReadonlyArray<Buffer>
  /** Its name, if it is not that of the entry. */
  readonly as?: string
}

/**
 * Returns the digests of the existing file if it has the entry's size, else undefined. With policy
 * `rename` the file may be a numbered copy that an earlier transfer stored.
 */
export const compareExisting = (
  directory: SafeDirectory,
  name: string,
  entry: Entry,
  policy: Policy,
  buffers: PieceBuffers
): Effect.Effect<ExistingCopy | undefined, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const candidate = policy === "rename" ? likeliestCopy(directory, name, entry) : name
    const stats = PartialFile.lstatIfExists(directory, candidate)
    const fd =
      stats?.isFile() === true && stats.size === entry.size
        ? PartialFile.openExisting(directory, candidate)
        : undefined
    if (fd === undefined) return undefined
    const digests = yield* Effect.ensuring(
      blockDigests(fd, entry.size, entry.size, buffers),
      Effect.sync(() => closeSync(fd))
    )
    if (digests.length !== blockCount(entry.size)) return undefined
    return candidate === name ? { digests } : { digests, as: candidate }
  })

/** The content, and the time where it matters, of a file that may be stored already. */
interface Wanted {
  readonly size: number
  readonly mtime: number | undefined
  readonly digest: Buffer
}

/** Flushes the file of this name if it has this content; false if it has not, or cannot be read. */
export const flushIfEqual = (
  directory: SafeDirectory,
  name: string,
  { size, mtime, digest }: Wanted,
  buffers: PieceBuffers
): Effect.Effect<boolean> =>
  Effect.acquireUseRelease(
    attempt(() => {
      const stats = PartialFile.lstatIfExists(directory, name)
      if (stats?.isFile() !== true || stats.size !== size) return undefined
      return mtime === undefined || PartialFile.mtimeMicros(directory, name) === mtime
        ? PartialFile.openExisting(directory, name)
        : undefined
    }),
    (fd) =>
      Effect.gen(function* () {
        if (fd === undefined) return false
        const found = yield* fileDigest(fd, size, buffers)
        if (found === undefined || Buffer.compare(found, digest) !== 0) return false
        yield* sync(fd)
        return true
      }),
    (fd) => Effect.sync(() => void (fd === undefined || closeSync(fd)))
  ).pipe(Effect.orElseSucceed(() => false))

/** Returns the first numbered copy with the entry's size and time; without one, the name itself. */
const likeliestCopy = (directory: SafeDirectory, name: string, { size, mtime }: Entry): string => {
  for (let count = 1; count <= limits.renameAttempts; count++) {
    const copy = Names.numbered(name, count)
    const stats = PartialFile.lstatIfExists(directory, copy)
    if (stats === undefined) break
    if (stats.isFile() && stats.size === size && PartialFile.mtimeMicros(directory, copy) === mtime)
      return copy
  }
  return name
}
