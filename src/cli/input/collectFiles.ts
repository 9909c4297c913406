// What a push sends: the paths of its command line as a list, standard input as one file of it.
import { createWriteStream, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { pipeline } from "node:stream/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { SafeDirectories } from "../../services/transfer/SafeDirectory.ts"
import * as Names from "../../services/transfer/Names.ts"
import { FileWalker, type SourceEntry } from "../../services/transfer/FileWalker.ts"
import {
  diskFailed,
  SourceRefused,
  type DiskFailed,
  type TransferStopped
} from "../../services/transfer/TransferErrors.ts"
import type { LeftOut, LinkPolicy, LeftOutReason } from "../../services/transfer/Messages.ts"
import { OptionsConflict } from "../arguments/options.ts"

export interface CollectedFiles {
  readonly items: ReadonlyArray<SourceEntry>
  readonly leftOut: ReadonlyArray<LeftOut>
}

/** The list of what lies at these paths; what it opened goes with the scope. */
export const collectFiles = (
  paths: ReadonlyArray<string>,
  as: string | undefined,
  links: LinkPolicy
): Effect.Effect<
  CollectedFiles,
  SourceRefused | OptionsConflict | DiskFailed | TransferStopped,
  Scope.Scope
> =>
  Effect.gen(function* () {
    if (as !== undefined && paths.length > 1)
      return yield* new OptionsConflict({ detail: "--as names one thing; give one path" })
    if (paths.includes("-") && as === undefined)
      return yield* new OptionsConflict({ detail: "standard input needs a name there: --as NAME" })
    if (paths.filter((each) => each === "-").length > 1)
      return yield* new OptionsConflict({ detail: "- is given twice" })
    const survey = yield* Effect.acquireRelease(
      Effect.sync(() => new FileWalker(links)),
      (opened) => Effect.sync(() => opened.close())
    )
    const wanted: Array<{ readonly at: string; readonly name: string }> = []
    for (const each of paths) {
      const at = each === "-" ? yield* spooled : path.resolve(each)
      wanted.push({ at, name: as ?? path.basename(at) })
    }
    const seen = new Map<string, string>()
    for (const [index, { name }] of wanted.entries()) {
      const given = paths[index] as string
      const refused = Names.nameProblem(name)
      if (refused !== undefined)
        return yield* new SourceRefused({ path: given, detail: `cannot be sent: ${refused}` })
      const before = seen.get(name)
      if (before !== undefined)
        return yield* new SourceRefused({
          path: given,
          detail: `would get the name of ${before} there; push one after the other`
        })
      seen.set(name, given)
    }
    for (const { at, name } of wanted.sort((one, other) => Names.compare(one.name, other.name))) {
      const folders = yield* Effect.acquireRelease(
        Effect.try({ try: () => new SafeDirectories(path.dirname(at)), catch: diskFailed(at) }),
        (opened) => Effect.sync(() => opened.close())
      )
      const before = survey.leftOut.length
      yield* survey.add(folders, [path.basename(at)], [name])
      // What was asked for by name travels, or it is an error: after a push that ends with 0 somebody may remove it here.
      const itself = survey.leftOut.slice(before).find((one) => one.path === name)
      if (itself !== undefined)
        return yield* new SourceRefused({
          path: at,
          detail: namedClauses[itself.reason] ?? "cannot be sent"
        })
    }
    return { items: survey.sorted() ?? [], leftOut: survey.leftOut }
  })

/** Why a path that was given is not sent. */
const namedClauses: Partial<Record<LeftOutReason, string>> = {
  missing: "there is no such file or folder",
  link: "is a symbolic link; give what it leads to, or --symlinks follow or keep",
  outside:
    "is a symbolic link that leads out of its folder; --symlinks follow sends what it leads to",
  special:
    "is neither a file nor a folder; its bytes can be sent as standard input: push - --as NAME",
  unreadable: "cannot be read"
}

/** Standard input in a file of this user alone, gone at the end: how long it is must be known before it is sent. */
const spooled: Effect.Effect<string, DiskFailed, Scope.Scope> = Effect.gen(function* () {
  if (process.stdin.isTTY) yield* Effect.logInfo("waiting for standard input; Ctrl-D ends it")
  const folder = yield* Effect.acquireRelease(
    Effect.try({
      try: () => mkdtempSync(path.join(tmpdir(), "sealwire-")),
      catch: diskFailed(tmpdir())
    }),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const file = path.join(folder, "input")
  yield* Effect.tryPromise({
    try: () => pipeline(process.stdin, createWriteStream(file, { mode: 0o600 })),
    catch: diskFailed(file)
  })
  return file
})
