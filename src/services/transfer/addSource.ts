// The files and folders that the user of this side names, as entries of a manifest.
import path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { FileWalker } from "./FileWalker.ts"
import type { LeftOutReason } from "./Messages.ts"
import { SafeDirectories } from "./SafeDirectory.ts"
import { SafePath } from "./SafePath.ts"
import {
  diskFailed,
  SourceRefused,
  type DiskFailed,
  type TransferStopped
} from "./TransferErrors.ts"

/** A file or folder to send. */
export interface NamedSource {
  /** Absolute path on this disk. */
  readonly file: string
  /** Path at the receiver. */
  readonly sent: SafePath
}

/** The reason and the next step for a source that is left out. */
export type OmissionClauses = Partial<Readonly<Record<LeftOutReason, string>>>

const ownClauses: OmissionClauses = {
  missing: "no such file or folder",
  link: "is a symbolic link, and links are skipped; send its target",
  outside: "is a symbolic link that leads out of its folder; send its target",
  special: "is neither a file nor a folder",
  unreadable: "cannot be read"
}

/**
 * Adds the entries of a source; what it opens is closed with the scope. A source that is named must
 * be sent: its user may delete it after a success.
 */
export const addSource = (
  walker: FileWalker,
  { file, sent }: NamedSource,
  clauses: OmissionClauses = {}
): Effect.Effect<void, SourceRefused | DiskFailed | TransferStopped, Scope.Scope> =>
  Effect.gen(function* () {
    const directories = yield* Effect.acquireRelease(
      Effect.try({ try: () => new SafeDirectories(path.dirname(file)), catch: diskFailed(file) }),
      (opened) => Effect.sync(() => opened.close())
    )
    const before = walker.leftOut.length
    const source = SafePath.local(path.basename(file)) ?? SafePath.root
    yield* walker.add(directories, source, sent)
    const omission = walker.leftOut.slice(before).find((each) => each.path === sent.text)
    if (omission !== undefined)
      return yield* new SourceRefused({
        path: file,
        detail: clauses[omission.reason] ?? ownClauses[omission.reason] ?? "cannot be sent"
      })
  })
