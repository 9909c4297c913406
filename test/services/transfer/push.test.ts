// FileClient.push: one call that walks, connects, resumes and retries, and its progress.
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as FileClient from "../../../src/services/transfer/FileClient.ts"
import { PushState } from "../../../src/services/transfer/PushState.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { tcp } from "../../../src/transports/Address.ts"
import type { MemoryOptions } from "../../../src/transports/Memory.ts"
import { Transport } from "../../../src/transports/index.ts"
import { dialKeys, suiteOf } from "../../channel/rig.ts"
import { pause, waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import { scopedFolder } from "../../fixtures/folder.ts"
import { serveFiles, snapshot, writeTree } from "./Transfers.ts"

const MiB = 1024 * 1024
const over = (options: MemoryOptions = {}) => Effect.provide(Transport.layerMemory(options))
const to = (address: Address) => ({ address, keys: dialKeys(suiteOf("IK")) })

const folders = Effect.gen(function* () {
  const [here, there] = [yield* scopedFolder, yield* scopedFolder]
  writeTree(here, {
    photos: {
      "one.jpg": Buffer.alloc(3 * MiB, "one "),
      "two.jpg": Buffer.alloc(20 * MiB, "two, "),
      empty: {},
      "notes.txt": Buffer.from("notes")
    },
    "report.pdf": Buffer.from("report")
  })
  return { here, there, from: ["photos", "report.pdf"].map((name) => path.join(here, name)) }
})

describe("FileClient.push", () => {
  it.scopedLive("is the push of the layer's service, which has loaded its keys", () =>
    Effect.gen(function* () {
      const { here, there, from } = yield* folders
      const { address } = yield* serveFiles(there)
      let loaded = 0
      const keys = Effect.sync(() => {
        loaded++
        return dialKeys(suiteOf("IK"))
      })
      yield* Effect.gen(function* () {
        const { push, pushStream } = yield* FileClient.FileClient
        expect(yield* push({ from })).toMatchObject({ stored: 4 })
        const last = yield* Stream.runLast(pushStream({ from, policy: "skip" }))
        expect(last).toMatchObject({ value: { filesDone: 4 } })
      }).pipe(Effect.provide(FileClient.layer({ address, keys })))
      expect([loaded, snapshot(there)]).toEqual([1, snapshot(here)])
    }).pipe(over())
  )

  it.scopedLive("sends files and folders, and reports its progress", () =>
    Effect.gen(function* () {
      const { here, there, from } = yield* folders
      const { address } = yield* serveFiles(there)
      const reports: Array<FileClient.PushProgress> = []
      const onProgress = (progress: FileClient.PushProgress) =>
        Effect.sync(() => void reports.push(progress))
      const summary = yield* withTimeout(
        "the push",
        FileClient.push({ from, to: to(address), onProgress })
      )
      expect(summary).toMatchObject({ stored: 4, same: 0, skipped: 0 })
      expect(snapshot(there)).toEqual(snapshot(here))
      expect(reports[0]).toMatchObject({ files: 4, filesDone: 0, bytesDone: 0 })
      expect(reports.at(-1)).toMatchObject({
        files: 4,
        filesDone: 4,
        bytes: summary.bytes,
        bytesDone: summary.bytes
      })
      const bytes = reports.map(({ bytesDone }) => bytesDone)
      expect(bytes).toEqual(bytes.toSorted((one, other) => one - other))

      const again = yield* withTimeout("the same push", FileClient.push({ from, to: to(address) }))
      expect(again).toMatchObject({ stored: 0, same: 4 })
    }).pipe(over())
  )

  it.scopedLive("continues after lost connections, and sends nothing twice", () =>
    Effect.gen(function* () {
      const { here, there, from } = yield* folders
      const { address, events } = yield* serveFiles(there)
      let starts = 0
      const onProgress = ({ bytesDone, filesDone }: FileClient.PushProgress) =>
        Effect.sync(() => void (starts += bytesDone === 0 && filesDone === 0 ? 1 : 0))
      yield* withTimeout("the push", FileClient.push({ from, to: to(address), onProgress }))
      // Each session counts from the start: what is there already is counted as done at once.
      expect(starts).toBe(3)
      expect(snapshot(there)).toEqual(snapshot(here))
      expect(events.filter(({ _tag }) => _tag === "SessionStarted").length).toBe(3)
    }).pipe(
      over({
        cuts: [
          { written: 10 * MiB, read: Number.POSITIVE_INFINITY },
          // Less than what is left after the first 8 MiB of two.jpg.
          { written: 13 * MiB, read: Number.POSITIVE_INFINITY }
        ]
      })
    )
  )

  it.scopedLive("is a Stream of its progress, which ends when all is stored", () =>
    Effect.gen(function* () {
      const { here, there, from } = yield* folders
      const { address } = yield* serveFiles(there)
      const reports = yield* withTimeout(
        "the push",
        Stream.runCollect(FileClient.pushStream({ from, to: to(address) }))
      )
      expect(Chunk.toReadonlyArray(reports).at(-1)).toMatchObject({ files: 4, filesDone: 4 })
      expect(snapshot(there)).toEqual(snapshot(here))
    }).pipe(over())
  )

  it.scopedLive("ends with its Stream, and with its fiber", () =>
    Effect.gen(function* () {
      const { there, from } = yield* folders
      const { address, events } = yield* serveFiles(there)
      yield* withTimeout(
        "the first report",
        Stream.runHead(FileClient.pushStream({ from, to: to(address) }))
      )
      const push = yield* Effect.fork(
        FileClient.push({ from, to: to(address), onProgress: () => Effect.never })
      )
      yield* pause(50)
      expect(Exit.isInterrupted(yield* withTimeout("the end", Fiber.interrupt(push)))).toBe(true)
      yield* waitUntil(
        "the ends",
        () => events.filter(({ _tag }) => _tag === "SessionEnded").length === 2
      )
    }).pipe(over())
  )

  it.scopedLive("fails with what has not arrived, after the others have", () =>
    Effect.gen(function* () {
      const { there, from } = yield* folders
      const { address } = yield* serveFiles(there)
      writeFileSync(path.join(there, "report.pdf"), "another one")
      const failed = yield* withTimeout(
        "the failure",
        Effect.flip(FileClient.push({ from, to: to(address) }))
      )
      expect(failed).toMatchObject({
        _tag: "TransferIncomplete",
        next: "change",
        first: "report.pdf: already exists with different content",
        counts: [{ kind: "file", total: 4, failed: 1 }]
      })
      const skipping = FileClient.push({ from, to: to(address), policy: "skip" })
      expect(yield* withTimeout("the push", skipping)).toMatchObject({ stored: 0, skipped: 4 })
      const renaming = FileClient.push({ from, to: to(address), policy: "rename" })
      expect(yield* withTimeout("the push", renaming)).toMatchObject({ stored: 1, same: 3 })
    }).pipe(over())
  )

  it.scopedLive("sends nothing if a source cannot be sent", () =>
    Effect.gen(function* () {
      const { here, there, from } = yield* folders
      const { address, events } = yield* serveFiles(there)
      const refused = (source: string, ...others: ReadonlyArray<string>) =>
        Effect.flip(FileClient.push({ from: [source, ...others], to: to(address) }))
      symlinkSync("report.pdf", path.join(here, "link"))
      mkdirSync(path.join(here, "other/photos"), { recursive: true })
      expect(yield* refused(path.join(here, "nothing"))).toMatchObject({
        _tag: "SourceRefused",
        detail: "no such file or folder"
      })
      const link = yield* refused(path.join(here, "link"))
      expect(link).toMatchObject({ _tag: "SourceRefused" })
      expect(link.message).not.toContain("--")
      expect(yield* refused(path.join(here, "other/photos"), ...from)).toMatchObject({
        _tag: "SourceRefused",
        detail: expect.stringContaining("same name")
      })
      expect(events.filter(({ _tag }) => _tag === "SessionStarted")).toEqual([])
    }).pipe(over())
  )

  it.scopedLive("fails at once if nobody listens", () =>
    Effect.gen(function* () {
      const { from } = yield* folders
      expect(
        yield* Effect.flip(FileClient.push({ from, to: to(tcp("127.0.0.1", 1)) }))
      ).toMatchObject({ _tag: "ConnectFailed" })
    }).pipe(over())
  )

  it.scopedLive("is a Sink of bytes, which are one file at the server", () =>
    Effect.gen(function* () {
      const there = yield* scopedFolder
      const { address, events } = yield* serveFiles(there)
      const pieces = [Buffer.alloc(3 * MiB, "piece "), Buffer.alloc(0), Buffer.from("the end")]
      // Other programs make temporary folders, too.
      const temporary = yield* scopedFolder
      const usual = process.env["TMPDIR"]
      yield* Effect.acquireRelease(
        Effect.sync(() => void (process.env["TMPDIR"] = temporary)),
        () =>
          Effect.sync(() => {
            if (usual === undefined) delete process.env["TMPDIR"]
            else process.env["TMPDIR"] = usual
          })
      )
      const sending = Stream.run(
        Stream.fromIterable(pieces),
        FileClient.toSink({ as: "dump.sql", to: to(address) })
      )
      expect(yield* withTimeout("the push", sending)).toMatchObject({ stored: 1 })
      const stored = readFileSync(path.join(there, "dump.sql"))
      expect(stored.equals(Buffer.concat(pieces))).toBe(true)
      expect(lstatSync(path.join(there, "dump.sql")).mode & 0o777).toBe(0o600)

      const broken = Stream.concat(Stream.make(Buffer.from("half")), Stream.fail("broken" as const))
      const another = FileClient.toSink({ as: "half.sql", to: to(address) })
      expect(yield* Effect.flip(Stream.run(broken, another))).toBe("broken")
      for (const as of ["../escape", "a/b", ""])
        expect(
          yield* Effect.flip(Stream.run(broken, FileClient.toSink({ as, to: to(address) })))
        ).toMatchObject({ _tag: "SourceRefused" })
      expect(readdirSync(there)).toEqual(["dump.sql"])
      expect(events.filter(({ _tag }) => _tag === "SessionStarted").length).toBe(1)
      expect(readdirSync(temporary)).toEqual([])
    }).pipe(over())
  )
})

it.effect("a name that another transfer takes meanwhile is skipped, if those that exist are", () =>
  Effect.gen(function* () {
    const file = { kind: "file", size: 7, mode: 0o600, mtime: 0 } as const
    const outcomeOf = (skips: boolean) =>
      Effect.gen(function* () {
        const entries = [{ ...file, path: SafePath.root.localChild("plan.txt") }]
        const state = new PushState(entries, skips, Effect.void)
        state.startSession()
        yield* state.observer.confirmed([{ index: 0, outcome: "exists" }])
        return yield* Effect.merge(state.conclude)
      })
    expect(yield* outcomeOf(true)).toMatchObject({ stored: 0, skipped: 1 })
    expect(yield* outcomeOf(false)).toMatchObject({ _tag: "TransferIncomplete" })
  })
)
