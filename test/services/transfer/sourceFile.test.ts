// The files that are sent: how they are opened, and whether they are as they were listed.
import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  constants,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import files from "node:fs"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { FileWalker } from "../../../src/services/transfer/FileWalker.ts"
import { limits } from "../../../src/services/transfer/limits.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import {
  mtimeMicros,
  openSource,
  tickOf,
  versionOf
} from "../../../src/services/transfer/SourceFile.ts"
import { withReplaced } from "../../testing/builtins.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()
let directories: SafeDirectories
beforeEach(() => {
  directories = new SafeDirectories(folder())
})
afterEach(() => directories.close())
const at = (name: string) => path.join(folder(), name)

describe("a source", () => {
  const source = Effect.gen(function* () {
    writeFileSync(at("file"), "text")
    utimesSync(at("file"), 1000, 1000)
    const name = SafePath.root.localChild("file")
    const walker = new FileWalker("skip")
    yield* walker.add(directories, name, name)
    const [first] = walker.sources
    return first ?? (yield* Effect.dieMessage("no file"))
  })
  const outcome = (opened: Effect.Effect.Success<ReturnType<typeof openSource>>) => {
    if (typeof opened === "string") return opened
    opened.close()
    return "opened"
  }

  /** Changes of a file that leave its size and mtime, or restore them. */
  const restoring: ReadonlyArray<readonly [string, () => void]> = [
    [
      "rewritten in place, with its time restored",
      () => {
        writeFileSync(at("file"), "TEXT")
        utimesSync(at("file"), 1000, 1000)
      }
    ],
    [
      "extended and cut again, with its time restored",
      () => {
        appendFileSync(at("file"), "more")
        truncateSync(at("file"), 4)
        utimesSync(at("file"), 1000, 1000)
      }
    ],
    ["touched with its own time", () => utimesSync(at("file"), 1000, 1000)]
  ]

  it.live.each(restoring)("that was %s is changed, before and after it is opened", ([, change]) =>
    Effect.gen(function* () {
      const file = yield* source
      const opened = yield* openSource(file)
      if (typeof opened === "string") return yield* Effect.dieMessage(opened)
      expect(opened.isUnchanged()).toBe(true)
      yield* Effect.sleep(tickOf(file.version))
      change()
      const { size, mtimeMs } = files.statSync(at("file"))
      expect([size, mtimeMs]).toEqual([4, 1_000_000])
      expect(opened.isUnchanged()).toBe(false)
      opened.close()
      expect(outcome(yield* openSource(file))).toBe("changed")
    })
  )

  it.effect("whose size or time is another, or that another file has replaced, is changed", () =>
    Effect.gen(function* () {
      const file = yield* source
      const entry = (changed: Partial<typeof file.entry>) =>
        Effect.map(openSource({ ...file, entry: { ...file.entry, ...changed } }), outcome)
      expect(yield* entry({})).toBe("opened")
      expect(yield* entry({ size: 3 })).toBe("changed")
      expect(yield* entry({ mtime: file.entry.mtime + 1 })).toBe("changed")
      const version = { ...file.version, inode: file.version.inode + 1n }
      expect(outcome(yield* openSource({ ...file, version }))).toBe("changed")
      rmSync(at("file"))
      expect(outcome(yield* openSource(file))).toBe("missing")
    })
  )

  it("has a longer tick on a file system that rounds its times to seconds", () => {
    const tick = (changed: bigint) => tickOf({ inode: 1n, changed })
    expect(tick(1_700_000_000_000_000_001n)).toBe(limits.fileTickMillis)
    expect(tick(1_700_000_000_000_000_000n)).toBe(limits.wholeSecondTickMillis)
  })

  it.effect("that became a link, a folder or a FIFO is not followed, and nothing waits", () =>
    Effect.gen(function* () {
      const file = yield* source
      renameSync(at("file"), at("other"))
      symlinkSync("other", at("file"))
      expect(outcome(yield* openSource(file))).toBe("changed")
      rmSync(at("file"))
      mkdirSync(at("file"))
      expect(outcome(yield* openSource(file))).toBe("changed")
      rmSync(at("file"), { recursive: true })
      execFileSync("mkfifo", [at("file")])
      // Both ends are open, so that a wrong flag fails the test instead of blocking it.
      const writer = files.openSync(at("file"), constants.O_RDWR)
      const flags: Array<number> = []
      const seen = withReplaced(
        files,
        "openSync",
        (open) =>
          (name, how, ...rest) => {
            flags.push(Number(how))
            return open(name, how, ...rest)
          },
        Effect.map(openSource(file), outcome)
      )
      expect(yield* seen).toBe("changed")
      files.closeSync(writer)
      const wanted = constants.O_NOFOLLOW | constants.O_NONBLOCK
      expect(flags.map((each) => each & wanted)).toEqual([wanted])
    })
  )

  it.effect.skipIf(process.platform !== "linux")(
    "with content behind its stated size, as files of /proc, is unreadable",
    () =>
      Effect.gen(function* () {
        directories.close()
        directories = new SafeDirectories("/proc/self")
        const walker = new FileWalker("skip")
        const status = SafePath.root.localChild("status")
        yield* walker.add(directories, status, status)
        const [file] = walker.sources
        if (file === undefined) return yield* Effect.dieMessage("no file")
        const { entry } = file
        const stats = files.statSync("/proc/self/status", { bigint: true })
        expect(Number(stats.size)).toBe(0)
        // The times of such a file change by themselves; the size is what matters here.
        const opened = yield* openSource({
          ...file,
          entry: { ...entry, mtime: mtimeMicros(stats) },
          version: versionOf(stats)
        })
        expect(["unreadable", "changed"]).toContain(outcome(opened))
        if (stats.ctimeNs === file.version.changed)
          expect(outcome(yield* openSource(file))).toBe("unreadable")
      })
  )
})
