// Writes what programs have written to a file through a memory map back to its disk.
import { fdatasync } from "node:fs"
import * as Effect from "effect/Effect"

/**
 * Makes later writes through a shared memory map show in the ctime: the system sets it at the first
 * write to a page after its write-back only. The ctime to compare with is the one from before this
 * call. Errors are left to the reads that follow.
 */
export const writeBack = (fd: number): Effect.Effect<void> =>
  Effect.async((resume) => fdatasync(fd, () => resume(Effect.void)))
