// Replaces the identity in a file by another, step by step. The files that exist tell the stage:
//
//   FILES                             STAGE            NEXT STEP
//   FILE                              not begun        begin: creates FILE.next
//   FILE, FILE.next                   begun            switch: renames FILE to FILE.retiring and
//                                                      FILE.next to FILE
//   FILE = FILE.retiring, FILE.next   half switched    switch again: completes it
//   FILE, FILE.retiring               switched         finish: removes FILE.retiring
//
// FILE is a complete key at every moment.
import { shown } from "../bytes/excerpt.ts"
import type { Stats } from "node:fs"
import { link, lstat, open, rename, unlink } from "node:fs/promises"
import path from "node:path"
import { writingHints } from "./writingHints.ts"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

export type Stage = "not begun" | "begun" | "half switched" | "switched" | "begun again"
export type Step = "begin" | "switch" | "finish"

/** The step that follows each stage. */
export const nextStep: Readonly<Record<Stage, Step>> = {
  "not begun": "begin",
  begun: "switch",
  "half switched": "switch",
  switched: "finish",
  // The user created FILE.next before the previous rotation was finished.
  "begun again": "finish"
}

/** The step is not the next one. Nothing was changed. */
export class RotationOutOfTurn extends Data.TaggedError("RotationOutOfTurn")<{
  readonly file: string
  readonly stage: Stage
  readonly step: Step
}> {
  override get message(): string {
    return `nothing was changed: the rotation of ${shown(this.file)} is ${this.stage}; the next step is ${nextStep[this.stage]}, not ${this.step}`
  }
}

/** The files cannot be read or moved. */
export class RotationFailed extends Data.TaggedError("RotationFailed")<{
  readonly file: string
  readonly detail: string
}> {
  override get message(): string {
    return `the rotation of ${shown(this.file)} stopped: ${this.detail}`
  }
}

const day = 24 * 60 * 60 * 1000

/** Days during which the old key stays valid beside the new one, unless a date is chosen. */
export const defaultDays = 30

/** Returns the first midnight (UTC) that is `defaultDays` away, in milliseconds since 1970. */
export const defaultRetirement = (now: number): number => Math.ceil(now / day + defaultDays) * day

export const nextOf = (file: string): string => `${file}.next`
export const retiringOf = (file: string): string => `${file}.retiring`

/** Returns the stage of the rotation of an existing file. */
export const stageOf = (file: string): Effect.Effect<Stage, RotationFailed> =>
  Effect.gen(function* () {
    const [current, next, retiring] = yield* attempt(file, () =>
      Promise.all([file, nextOf(file), retiringOf(file)].map(statsOf))
    )
    // Linking and renaming would move the symbolic link and leave the key itself in place.
    if (current?.isSymbolicLink() === true)
      return yield* new RotationFailed({
        file,
        detail: "it is a symbolic link; name the file it leads to"
      })
    if (retiring === undefined) return next === undefined ? "not begun" : "begun"
    if (next === undefined) return "switched"
    return current?.ino === retiring.ino && current.dev === retiring.dev
      ? "half switched"
      : "begun again"
  })

/** Returns the stage when `step` is the next step; fails with RotationOutOfTurn otherwise. */
export const check = (
  file: string,
  step: Step
): Effect.Effect<Stage, RotationOutOfTurn | RotationFailed> =>
  Effect.flatMap(stageOf(file), (stage) =>
    nextStep[stage] === step ? Effect.succeed(stage) : new RotationOutOfTurn({ file, stage, step })
  )

/**
 * Links FILE as FILE.retiring, then renames FILE.next to FILE. A crash in between leaves the stage
 * "half switched", and the next call completes the switch.
 */
export const switchOver = (file: string): Effect.Effect<void, RotationOutOfTurn | RotationFailed> =>
  Effect.gen(function* () {
    const stage = yield* check(file, "switch")
    yield* Effect.uninterruptible(
      attempt(file, async () => {
        if (stage === "begun") await link(file, retiringOf(file))
        await flush(path.dirname(file))
        await rename(nextOf(file), file)
        await flush(path.dirname(file))
      })
    )
  })

/** Removes FILE.retiring. */
export const finish = (file: string): Effect.Effect<void, RotationOutOfTurn | RotationFailed> =>
  Effect.zipRight(
    check(file, "finish"),
    attempt(file, async () => {
      await unlink(retiringOf(file))
      await flush(path.dirname(file))
    })
  )

const statsOf = (file: string): Promise<Stats | undefined> =>
  lstat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined
    throw cause
  })

const flush = async (folder: string): Promise<void> => {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const attempt = <A>(file: string, run: () => Promise<A>): Effect.Effect<A, RotationFailed> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new RotationFailed({ file, detail: detailOf(cause) })
  })

/** The message of a system error would name the paths. */
const detailOf = (cause: unknown): string => {
  const { code = "unknown error" } = cause as NodeJS.ErrnoException
  return writingHints[code] ?? code
}
