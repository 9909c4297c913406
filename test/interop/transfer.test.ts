// What TRANSFER.md says is enough: a second implementation pushes to this one, goes on after a cut, and pulls.
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect } from "vitest"
import { Transport } from "../../src/transports/index.ts"
import { connected, folder, partsIn, serving } from "../services/transfer/Transfers.ts"
import { withTimeout, waitUntil } from "../../src/testing/steps.ts"
import { pull, push, type Thing } from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024
const large = Buffer.concat([randomBytes(9 * MiB), Buffer.alloc(2 * MiB), randomBytes(MiB / 2)])
const at = 1_700_000_000_123_456
const things: ReadonlyArray<Thing> = [
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
const files = things.filter(({ bytes }) => bytes !== undefined)

const fresh = (rules: Parameters<typeof serving>[1] = {}) =>
  Effect.gen(function* () {
    const there = yield* folder
    return { there, ...(yield* serving(there, rules)) }
  })

describe("another implementation", () => {
  it.scopedLive("pushes; what is there does not travel again, and what differs stays", () =>
    Effect.gen(function* () {
      const { there, address, events } = yield* fresh()
      const first = yield* withTimeout("the end", push(yield* connected(address), things))
      expect(first.said).toEqual({
        docs: [0, 0],
        "docs/a": [0, 0],
        "docs/a-b": [1, 0],
        "docs/a/large": [1, 0],
        "docs/a/ü 🙂": [1, 0]
      })
      for (const { path: where, mode, mtime, bytes } of things) {
        const stats = statSync(path.join(there, where), { bigint: true })
        expect([where, Number(stats.mode & 0o777n), Number(stats.mtimeNs / 1000n)]).toEqual([
          where,
          mode,
          mtime
        ])
        if (bytes !== undefined)
          expect(readFileSync(path.join(there, where)).equals(bytes)).toBe(true)
      }
      writeFileSync(
        path.join(there, "docs/a-b"),
        "another of the same length, never mind!".slice(0, 38)
      )
      const dry = yield* withTimeout("the end", push(yield* connected(address), things, 0, 1))
      const second = yield* withTimeout("the end", push(yield* connected(address), things))
      expect(second).toEqual({
        travelled: 0,
        said: {
          docs: [0, 0],
          "docs/a": [0, 0],
          "docs/a-b": [4, 3],
          "docs/a/large": [4, 2],
          "docs/a/ü 🙂": [4, 2]
        }
      })
      expect(dry).toEqual({
        travelled: 0,
        said: Object.fromEntries(
          Object.entries(second.said).map(([where, [answer]]) => [where, [answer, undefined]])
        )
      })
      // Under policy 2 it gets another name, and is found there.
      for (const outcome of [
        [1, 1],
        [3, 7]
      ])
        expect(
          (yield* withTimeout("the end", push(yield* connected(address), things, 2))).said[
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

  it.scopedLive("goes on with what a cut has left", () =>
    Effect.gen(function* () {
      const file = { path: "large", mode: 0o640, mtime: at, bytes: large }
      const { there, address, events } = yield* fresh()
      let written = 0
      const cut = Effect.gen(function* () {
        const channel = yield* connected(address)
        const write = (bytes: Uint8Array) =>
          (written += bytes.length) < 9 * MiB ? channel.write(bytes) : Effect.never
        return yield* push({ ...channel, write }, [file])
      })
      const block = waitUntil("a block", () =>
        partsIn(there).some((name) => statSync(path.join(there, name)).size >= 8 * MiB)
      )
      yield* Effect.raceFirst(Effect.asVoid(Effect.scoped(cut)), block)
      yield* waitUntil("the end of the session", () =>
        events.some(({ _tag }) => _tag === "SessionEnded")
      )
      const again = yield* withTimeout("the end", push(yield* connected(address), [file]))
      expect(again).toEqual({ travelled: 1.5 * MiB, said: { large: [2, 0] } })
      expect(readFileSync(path.join(there, "large")).equals(large)).toBe(true)
      expect(partsIn(there)).toEqual([])
    }).pipe(memory)
  )

  it.scopedLive("pulls, and compares", () =>
    Effect.gen(function* () {
      const { there, address } = yield* fresh()
      mkdirSync(path.join(there, "docs/a"), { recursive: true })
      for (const { path: where, mode, bytes, mtime } of files) {
        writeFileSync(path.join(there, where), bytes ?? "", { mode })
        utimesSync(path.join(there, where), (mtime + 0.5) / 1e6, (mtime + 0.5) / 1e6)
      }
      const all = yield* withTimeout("the end", pull(yield* connected(address), ["docs"]))
      expect([...all.keys()].toSorted()).toEqual(things.map((thing) => thing.path).toSorted())
      for (const file of files)
        expect(all.get(file.path)).toMatchObject({ mode: file.mode, mtime: file.mtime })
      for (const file of files)
        expect(all.get(file.path)?.bytes?.equals(file.bytes ?? large)).toBe(true)
      const one = yield* withTimeout(
        "the end",
        pull(yield* connected(address), ["docs/a/large"], new Map([["large", large]]))
      )
      expect([...one.keys()]).toEqual(["large"])
    }).pipe(memory)
  )

  it.scopedLive("is told when there is nothing of that name", () =>
    Effect.gen(function* () {
      const { address } = yield* fresh()
      const ended = yield* withTimeout(
        "the end",
        Effect.exit(pull(yield* connected(address), ["nothing"]))
      )
      expect(Exit.isFailure(ended) ? Cause.pretty(ended.cause) : "").toContain(
        "a frame of type 48, STOP is 5"
      )
    }).pipe(memory)
  )
})
