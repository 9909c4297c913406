// A folder that is moved, removed or replaced while it receives: nothing is called stored that is
// not at its path. A served folder that is gone is said so, and nobody waits for it.
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { withTimeout } from "../../../src/testing/steps.ts"
import { Transport } from "../../../src/transports/index.ts"
import { scopedFolder } from "../../fixtures/folder.ts"
import { pullPaths, pushPaths, serveFiles, TransferRecord } from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const pieces = 3 * 1024 * 1024

/** Ways in which a folder stops being at its path. */
const faults: Readonly<Record<string, (folder: string) => void>> = {
  moved: (folder) => renameSync(folder, `${folder}-moved`),
  replaced: (folder) => {
    renameSync(folder, `${folder}-moved`)
    mkdirSync(folder)
  },
  removed: (folder) => rmSync(folder, { recursive: true })
}

/** Which folder: the one that receives everything, and one below it. */
const folders: Readonly<Record<string, string>> = { "the root": ".", "a folder": "top" }

/** Runs a fault when the first content has travelled. */
const recordWith = (fault: () => void): TransferRecord => {
  const record = new TransferRecord()
  const { transferred } = record.progress
  let isDone = false
  const progress = {
    ...record.progress,
    transferred: (bytes: number) => {
      if (!isDone) fault()
      isDone = true
      return transferred(bytes)
    }
  }
  return Object.assign(record, { progress })
}

describe.each(["push", "pull"] as const)("while it receives: %s", (way) => {
  for (const [which, below] of Object.entries(folders))
    it.scopedLive.each(Object.keys(faults))(`${which} that is %s has no receipts`, (fault) =>
      Effect.gen(function* () {
        const [source, outer] = [yield* scopedFolder, yield* scopedFolder]
        const [top, target] = [path.join(source, "top"), path.join(outer, "target")]
        mkdirSync(top)
        mkdirSync(target)
        writeFileSync(path.join(top, "file"), randomBytes(pieces))
        const { address, stored } = yield* serveFiles(way === "push" ? target : source)
        const record = recordWith(() => faults[fault]?.(path.join(target, below)))
        yield* withTimeout(
          "end",
          Effect.either(
            way === "push"
              ? pushPaths(address, [top], { record })
              : pullPaths(address, ["top"], target, { record })
          )
        )
        expect(existsSync(path.join(target, "top", "file"))).toBe(false)
        expect([record.outcomes["top/file"], stored]).toEqual(["failed", []])
      }).pipe(memory)
    )
})

describe("a served folder that is gone", () => {
  it.scopedLive.each(["push", "pull"] as const)("stops a %s with the reason", (way) =>
    Effect.gen(function* () {
      const [source, outer] = [yield* scopedFolder, yield* scopedFolder]
      const top = path.join(source, "top")
      mkdirSync(top)
      const { address } = yield* serveFiles(path.join(outer, "gone"))
      const error = yield* withTimeout(
        "end",
        Effect.flip(way === "push" ? pushPaths(address, [top]) : pullPaths(address, ["x"], source))
      )
      expect(error).toMatchObject({ _tag: "TransferStopped", reason: "diskFailed" })
    }).pipe(memory)
  )
})
