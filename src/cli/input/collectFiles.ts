// Collects the entries of a push: the paths of the command line, with standard input as a file.
import { shown } from "../../bytes/excerpt.ts"
import {
  closeSync,
  constants,
  createWriteStream,
  mkdtempSync,
  openSync,
  readSync,
  rmSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { pipeline } from "node:stream/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { FileWalker } from "../../services/transfer/FileWalker.ts"
import type { LeftOut, LinkPolicy } from "../../services/transfer/Messages.ts"
import * as Names from "../../services/transfer/Names.ts"
import { SafePath } from "../../services/transfer/SafePath.ts"
import type { SourceEntry } from "../../services/transfer/SourceFile.ts"
import {
  addSource,
  type NamedSource,
  type OmissionClauses
} from "../../services/transfer/addSource.ts"
import {
  diskFailed,
  SourceRefused,
  type DiskFailed,
  type TransferStopped
} from "../../services/transfer/TransferErrors.ts"
import * as standardInput from "./standardInput.ts"
import { OptionsConflict } from "../arguments/options.ts"

export interface CollectedFiles {
  readonly sources: ReadonlyArray<SourceEntry>
  readonly leftOut: ReadonlyArray<LeftOut>
}

/** A path of the command line. */
interface PushedPath extends NamedSource {
  readonly given: string
}

/** Lists the entries at these paths; what it opens is closed with the scope. */
export const collectFiles = (
  paths: ReadonlyArray<string>,
  as: string | undefined,
  links: LinkPolicy
): Effect.Effect<
  CollectedFiles,
  SourceRefused | OptionsConflict | DiskFailed | TransferStopped | standardInput.InputFailed,
  Scope.Scope
> =>
  Effect.gen(function* () {
    yield* checkArguments(paths, as)
    const walker = yield* Effect.acquireRelease(
      Effect.sync(() => new FileWalker(links)),
      (opened) => Effect.sync(() => opened.close())
    )
    const pushed = [...(yield* sentPaths(paths, as))].sort((one, other) =>
      Names.compare(one.sent.text, other.sent.text)
    )
    for (const each of pushed) {
      yield* addSource(walker, each, omissionClauses)
      const last = walker.sources.at(-1)?.entry
      if (last?.kind === "file" && last.size === 0 && last.path === each.sent)
        yield* requireEmpty(each)
    }
    return { sources: walker.sorted() ?? [], leftOut: walker.leftOut }
  })

const checkArguments = (
  paths: ReadonlyArray<string>,
  as: string | undefined
): Effect.Effect<void, OptionsConflict> => {
  const conflict = (detail: string) => Effect.fail(new OptionsConflict({ detail }))
  if (as !== undefined && paths.length > 1)
    return conflict("--as names a single path; give one path")
  if (paths.includes("-") && as === undefined)
    return conflict("standard input needs a name on the server: --as NAME")
  return paths.filter((each) => each === "-").length > 1
    ? conflict("- is given twice")
    : Effect.void
}

/** Determines the name of each path at the receiver; fails if one is invalid or given twice. */
const sentPaths = (
  paths: ReadonlyArray<string>,
  as: string | undefined
): Effect.Effect<
  ReadonlyArray<PushedPath>,
  SourceRefused | DiskFailed | standardInput.InputFailed,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const pushed: Array<PushedPath> = []
    for (const given of paths) {
      const file = given === "-" ? yield* bufferedInput : path.resolve(given)
      const sent = SafePath.root.child(as ?? path.basename(file))
      if (typeof sent === "string")
        return yield* new SourceRefused({ path: given, detail: `cannot be sent: ${sent}` })
      const previous = pushed.find((each) => each.sent.text === sent.text)
      if (previous !== undefined)
        return yield* new SourceRefused({
          path: given,
          detail: `has the same name on the server as ${shown(previous.given)}; push them one by one`
        })
      pushed.push({ given, file, sent })
    }
    return pushed
  })

/** Refuses a file of /proc or /sys, whose stated size is 0 whatever can be read from it. */
const requireEmpty = ({ given, file, sent }: PushedPath): Effect.Effect<void, SourceRefused> =>
  hasContent(file)
    ? new SourceRefused({
        path: given,
        detail: `has content, but its stated size is 0; send it as standard input: push - --as ${shown(sent.text)} < ${shown(given)}`
      })
    : Effect.void

const hasContent = (file: string): boolean => {
  try {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return readSync(fd, Buffer.alloc(1)) > 0
    } finally {
      closeSync(fd)
    }
  } catch {
    // The transfer itself reports it.
    return false
  }
}

const omissionClauses: OmissionClauses = {
  link: "is a symbolic link; give its target, or --symlinks follow or keep",
  outside: "is a symbolic link that leads out of its folder; --symlinks follow sends its target",
  special: "is neither a file nor a folder; send its bytes as standard input: push - --as NAME"
}

/**
 * Copies standard input to a temporary file of this user, removed with the scope: the manifest
 * states the size before the first byte is sent.
 */
const bufferedInput: Effect.Effect<string, DiskFailed | standardInput.InputFailed, Scope.Scope> =
  Effect.gen(function* () {
    const stdin = yield* standardInput.readable
    if (stdin.isTTY === true) yield* Effect.logInfo("reading standard input; Ctrl-D ends it")
    const failed = diskFailed(`standard input, buffered in ${tmpdir()} (TMPDIR)`)
    const folder = yield* Effect.acquireRelease(
      Effect.try({ try: () => mkdtempSync(path.join(tmpdir(), "sealwire-")), catch: failed }),
      (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
    )
    const file = path.join(folder, "input")
    yield* Effect.tryPromise({
      try: () => pipeline(stdin, createWriteStream(file, { mode: 0o600 })),
      catch: (cause) =>
        (cause as NodeJS.ErrnoException).syscall === "read"
          ? standardInput.readFailed(cause)
          : failed(cause)
    })
    return file
  })
