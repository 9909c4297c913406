// TRANSFER.md is sufficient: a second implementation written from it pushes to this one, resumes a
// push, and pulls.
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect } from "vitest"
import { Transport } from "../../src/transports/index.ts"
import { openChannel, partialFilesIn, serveFiles } from "../services/transfer/Transfers.ts"
import { withTimeout, waitUntil } from "../../src/testing/steps.ts"
import { pull, push, type TreeEntry } from "./Transfers.ts"
import { scopedFolder } from "../fixtures/folder.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024
const large = Buffer.concat([randomBytes(9 * MiB), Buffer.alloc(2 * MiB), randomBytes(MiB / 2)])
const at = 1_700_000_000_123_456
const entries: ReadonlyArray<TreeEntry> = [
  { path: "docs", mode: 0o750, mtime: at },
  {
    path: "docs/a-b",
    mode: 0o644,
    mtime: at,
    bytes: Buffer.from("hyphens come after what is in a folder")
  },
  { path: "docs/a", mode: 0o755, mtime: at + 1 },
  { path: "docs/a/ü 🙂", mode: 0o600, mtime: at + 2, bytes: Buffer.alloc(0) },
  { path: "docs/a/large", mode: 0o640, mtime: at + 3, bytes: large }
]
const files = entries.filter(({ bytes }) => bytes !== undefined)

const setUp = (rules: Parameters<typeof serveFiles>[1] = {}) =>
  Effect.gen(function* () {
    const remote = yield* scopedFolder
    return { remote, ...(yield* serveFiles(remote, rules)) }
  })

describe("a second implementation", () => {
  it.scopedLive("pushes; unchanged files are not sent again, and different ones stay", () =>
    Effect.gen(function* () {
      const { remote, address, events } = yield* setUp()
      const first = yield* withTimeout("the end", push(yield* openChannel(address), entries))
      expect(first.results).toEqual({
        docs: [0, 0],
        "docs/a": [0, 0],
        "docs/a-b": [1, 0],
        "docs/a/large": [1, 0],
        "docs/a/ü 🙂": [1, 0]
      })
      for (const { path: where, mode, mtime, bytes } of entries) {
        const stats = statSync(path.join(remote, where), { bigint: true })
        expect([where, Number(stats.mode & 0o777n), Number(stats.mtimeNs / 1000n)]).toEqual([
          where,
          mode,
          mtime
        ])
        if (bytes !== undefined)
          expect(readFileSync(path.join(remote, where)).equals(bytes)).toBe(true)
      }
      writeFileSync(
        path.join(remote, "docs/a-b"),
        "another of the same length, never mind!".slice(0, 38)
      )
      const dry = yield* withTimeout("the end", push(yield* openChannel(address), entries, 0, 1))
      const second = yield* withTimeout("the end", push(yield* openChannel(address), entries))
      expect(second).toEqual({
        sentBytes: 0,
        results: {
          docs: [0, 0],
          "docs/a": [0, 0],
          "docs/a-b": [4, 3],
          "docs/a/large": [4, 2],
          "docs/a/ü 🙂": [4, 2]
        }
      })
      expect(dry).toEqual({
        sentBytes: 0,
        results: Object.fromEntries(
          Object.entries(second.results).map(([where, [answer]]) => [where, [answer, undefined]])
        )
      })
      // Policy 2 stores it under another name, and the next push finds it there.
      for (const outcome of [
        [1, 1],
        [3, 7]
      ])
        expect(
          (yield* withTimeout("the end", push(yield* openChannel(address), entries, 2))).results[
            "docs/a-b"
          ]
        ).toEqual(outcome[0] === 1 ? [3, 1] : outcome)
      yield* waitUntil(
        "the ends",
        () => events.filter(({ _tag }) => _tag === "SessionEnded").length === 5
      )
      expect(events.filter((event) => "error" in event && event.error !== undefined)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("resumes a push that was cut", () =>
    Effect.gen(function* () {
      const file = { path: "large", mode: 0o640, mtime: at, bytes: large }
      const { remote, address, events } = yield* setUp()
      let written = 0
      const cut = Effect.gen(function* () {
        const channel = yield* openChannel(address)
        const write = (bytes: Uint8Array) =>
          (written += bytes.length) < 9 * MiB ? channel.write(bytes) : Effect.never
        return yield* push({ ...channel, write }, [file])
      })
      const block = waitUntil("a block", () =>
        partialFilesIn(remote).some((name) => statSync(path.join(remote, name)).size >= 8 * MiB)
      )
      yield* Effect.raceFirst(Effect.asVoid(Effect.scoped(cut)), block)
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      const again = yield* withTimeout("the end", push(yield* openChannel(address), [file]))
      expect(again).toEqual({ sentBytes: 1.5 * MiB, results: { large: [2, 0] } })
      expect(readFileSync(path.join(remote, "large")).equals(large)).toBe(true)
      expect(partialFilesIn(remote)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("pulls, and compares existing files", () =>
    Effect.gen(function* () {
      const { remote, address } = yield* setUp()
      mkdirSync(path.join(remote, "docs/a"), { recursive: true })
      for (const { path: where, mode, bytes, mtime } of files) {
        writeFileSync(path.join(remote, where), bytes ?? "", { mode })
        utimesSync(path.join(remote, where), (mtime + 0.5) / 1e6, (mtime + 0.5) / 1e6)
      }
      const all = yield* withTimeout("the end", pull(yield* openChannel(address), ["docs"]))
      expect([...all.keys()].toSorted()).toEqual(entries.map((entry) => entry.path).toSorted())
      for (const file of files)
        expect(all.get(file.path)).toMatchObject({ mode: file.mode, mtime: file.mtime })
      for (const file of files)
        expect(all.get(file.path)?.bytes?.equals(file.bytes ?? large)).toBe(true)
      const one = yield* withTimeout(
        "the end",
        pull(yield* openChannel(address), ["docs/a/large"], new Map([["large", large]]))
      )
      expect([...one.keys()]).toEqual(["large"])
    }).pipe(memory)
  )

  it.scopedLive("receives STOP for a path that does not exist", () =>
    Effect.gen(function* () {
      const { address } = yield* setUp()
      const ended = yield* withTimeout(
        "the end",
        Effect.exit(pull(yield* openChannel(address), ["nothing"]))
      )
      expect(Exit.isFailure(ended) ? Cause.pretty(ended.cause) : "").toContain(
        "a frame of type 48, STOP is 5"
      )
    }).pipe(memory)
  )
})
