// Gives a file whose content is flushed its name, or finds that the same file has it already: a
// session that was cut off may have stored it, or another one that runs beside this one. TRANSFER.md
// section 5.
import * as Effect from "effect/Effect"
import { flushIfEqual } from "./Compare.ts"
import { attempt, type PieceBuffers } from "./Disk.ts"
import { limits } from "./limits.ts"
import type { Entry } from "./Manifest.ts"
import type { Policy, Receipt } from "./Messages.ts"
import * as Names from "./Names.ts"
import type { PartialFile } from "./PartialFile.ts"

/** A file whose content is complete. */
export interface WrittenFile {
  readonly index: number
  readonly entry: Entry
  readonly partial: PartialFile
  readonly policy: Policy
  /** The digest of its content. */
  readonly digest: Buffer
}

/** The outcome of naming. */
export interface Naming {
  readonly receipt: Receipt
  /** The end of the partial file, once the receipt may be sent. */
  readonly end: "release" | "discard"
  /** True if the receipt depends on a flush of the folder. */
  readonly isNamed: boolean
}

/** Gives a file its name under its policy; fails with system errors. */
export const giveName = (
  written: WrittenFile,
  buffers: PieceBuffers
): Effect.Effect<Naming, NodeJS.ErrnoException> =>
  Effect.gen(function* () {
    const { index, entry, partial, policy, digest } = written
    const at = (name: string): Pick<Receipt, "index" | "path"> =>
      name === partial.name ? { index } : { index, path: entry.path.sibling(name) }
    for (let count = 0; ; count++) {
      const name = count === 0 ? partial.name : Names.numbered(partial.name, count)
      if (yield* commit(partial, name, policy)) {
        const outcome = count === 0 ? "stored" : "renamed"
        return { receipt: { ...at(name), outcome }, end: "release", isNamed: true }
      }
      // Of the numbered names, only a copy of the same time may be that of this file.
      const mtime = count === 0 ? undefined : entry.mtime
      if (
        yield* flushIfEqual(partial.directory, name, { size: entry.size, mtime, digest }, buffers)
      ) {
        const outcome = count === 0 ? "same" : "same as"
        return { receipt: { ...at(name), outcome }, end: "discard", isNamed: true }
      }
      if (policy !== "rename" || count === limits.renameAttempts)
        return { receipt: { index, outcome: "exists" }, end: "discard", isNamed: false }
    }
  })

/** Returns false if something else has the name. */
const commit = (
  partial: PartialFile,
  name: string,
  policy: Policy
): Effect.Effect<boolean, NodeJS.ErrnoException> =>
  attempt(() => partial.commit(name, policy === "overwrite")).pipe(
    Effect.as(true),
    Effect.catchAll((cause) =>
      cause.code === "EEXIST" ? Effect.succeed(false) : Effect.fail(cause)
    )
  )
