// A file that is there already, beside one that is to come: whether it may be the same. TRANSFER.md section 4, `compare` and `differs`.
import { closeSync } from "node:fs"
import * as Effect from "effect/Effect"
import { blockCount, blockDigests } from "./Digest.ts"
import type { PieceBuffers } from "./Disk.ts"
import type { SafeDirectory } from "./SafeDirectory.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import * as Names from "./Names.ts"
import * as PartialFile from "./PartialFile.ts"
import type { Policy } from "./Messages.ts"

export interface ExistingCopy {
  readonly digests: ReadonlyArray<Buffer>
  /** The name of what is compared, where it is another than that of the entry. */
  readonly as?: string
}

/** The digests of what is there, when it may be the same; a file that was renamed before, too. */
export const compareExisting = (
  folder: SafeDirectory,
  name: string,
  entry: Entry,
  policy: Policy,
  pieces: PieceBuffers
): Effect.Effect<ExistingCopy | undefined, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const like = policy === "rename" ? likeliest(folder, name, entry) : name
    const stats = PartialFile.lstatIfExists(folder, like)
    const fd =
      stats?.isFile() === true && stats.size === entry.size
        ? PartialFile.openExisting(folder, like)
        : undefined
    if (fd === undefined) return undefined
    const digests = yield* Effect.ensuring(
      blockDigests(fd, entry.size, entry.size, pieces),
      Effect.sync(() => closeSync(fd))
    )
    if (digests.length !== blockCount(entry.size)) return undefined
    return like === name ? { digests } : { digests, as: like }
  })

/** Beside a file one that was renamed, with the size and time of what comes: that was sent before. Else the file itself. */
const likeliest = (folder: SafeDirectory, name: string, { size, mtime }: Entry): string => {
  for (let count = 1; count <= limits.renameAttempts; count++) {
    const other = Names.numbered(name, count)
    const stats = PartialFile.lstatIfExists(folder, other)
    if (stats === undefined) break
    if (stats.isFile() && stats.size === size && PartialFile.mtimeMicros(folder, other) === mtime)
      return other
  }
  return name
}
