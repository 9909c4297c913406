// Identical transfers: several at once, or one that is repeated while an earlier session still
// holds its file. Each succeeds, and the file is stored once.
import { randomBytes } from "node:crypto"
import files, {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { describe, expect } from "vitest"
import { frame, FrameType as F, header, u32 } from "../../../src/services/transfer/Frame.ts"
import { limits } from "../../../src/services/transfer/limits.ts"
import { encode } from "../../../src/services/transfer/Manifest.ts"
import { policies, type Policy } from "../../../src/services/transfer/Messages.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { pause, waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { scopedFolder } from "../../fixtures/folder.ts"
import { runs, sample, sampled } from "../../fixtures/sample.ts"
import { withReplaced } from "../../testing/builtins.ts"
import type { RuleValues } from "../../peers/rulesOf.ts"
import {
  openChannel,
  partialFilesIn,
  pullPaths,
  pushPaths,
  serveFiles,
  snapshot,
  TransferRecord
} from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024
const times = 1_700_000_000

/** One of each size class: in one frame, in pieces, and with a partial file that can be resumed. */
const sizes = { none: 0, small: 1000, pieces: 3 * MiB, resumable: 9 * MiB }

/** Makes the tree that is transferred. */
const fill = (top: string): void => {
  mkdirSync(path.join(top, "sub"), { recursive: true })
  for (const [name, size] of Object.entries(sizes)) {
    writeFileSync(path.join(top, "sub", name), randomBytes(size))
    utimesSync(path.join(top, "sub", name), times, times)
  }
  symlinkSync("small", path.join(top, "sub", "link"))
}

const succeeded = new Set(["stored", "same", "skipped"])

describe.each(["push", "pull"] as const)("identical transfers at once: %s", (way) => {
  it.scopedLive.each(sample(policies, 3))(
    sampled("all succeed and store once, with %s"),
    (policy: Policy) =>
      Effect.gen(function* () {
        for (let round = 0; round < runs(1, 5); round++) {
          const [source, target] = [yield* scopedFolder, yield* scopedFolder]
          const top = path.join(source, "top")
          fill(top)
          const { address } = yield* serveFiles(way === "push" ? target : source, {
            overwrite: true
          })
          const run = Effect.suspend(() =>
            way === "push"
              ? pushPaths(address, [top], { policy, links: "keep" })
              : pullPaths(address, ["top"], target, { policy, links: "keep" })
          )
          const records = yield* withTimeout(
            "all",
            Effect.all([run, run, run], { concurrency: "unbounded" })
          )
          for (const { outcomes } of records)
            for (const [name, outcome] of Object.entries(outcomes))
              expect([name, outcome, succeeded.has(outcome)]).toEqual([name, outcome, true])
          expect(snapshot(target)).toEqual(snapshot(source))
          expect(readdirSync(target, { recursive: true })).toHaveLength(7)
        }
      }).pipe(memory)
  )
})

/** Pushes a file; another one takes its name after the answer and before the file. */
const pushBehind = (
  policy: Policy,
  size: number,
  other: (mine: Buffer) => { readonly bytes: Buffer; readonly name?: string }
) =>
  Effect.gen(function* () {
    const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
    const { address } = yield* serveFiles(remote, { overwrite: true })
    const mine = randomBytes(size)
    const file = path.join(local, "a.txt")
    writeFileSync(file, mine)
    utimesSync(file, times, times)
    let reads = 0
    const flushed = new Set<number>()
    const note = <Fsync>(fsync: Fsync): Fsync =>
      ((fd: number, done: () => void) => {
        flushed.add(files.fstatSync(fd).ino)
        Reflect.apply(fsync as () => void, undefined, [fd, done])
      }) as Fsync
    const record = new TransferRecord()
    const as: Array<string> = []
    const { confirmed } = record.progress
    Object.assign(record.progress, {
      confirmed: (receipts: Parameters<typeof confirmed>[0]) => {
        as.push(...receipts.flatMap((receipt) => receipt.path?.text ?? []))
        return confirmed(receipts)
      }
    })
    const push = pushPaths(address, [file], {
      policy,
      record,
      wrap: (channel) => ({
        ...channel,
        read: Effect.tap(channel.read, () => {
          if (reads++ > 0) return
          const { bytes, name = "a.txt" } = other(mine)
          if (name !== "a.txt") writeFileSync(path.join(remote, "a.txt"), "first")
          writeFileSync(path.join(remote, name), bytes)
          utimesSync(path.join(remote, name), times, times)
        })
      })
    })
    yield* withReplaced(files, "fsync", note, push)
    expect(partialFilesIn(remote)).toEqual([])
    const stored = Object.fromEntries(
      readdirSync(remote).map((name) => {
        const isMine = Buffer.compare(readFileSync(path.join(remote, name)), mine) === 0
        // Whatever the receipt is about is flushed.
        if (isMine) expect(flushed.has(statSync(path.join(remote, name)).ino)).toBe(true)
        return [name, isMine ? "mine" : "other"]
      })
    )
    return { outcome: record.outcomes["a.txt"], as, stored }
  })

describe("a file whose name is taken after its answer", () => {
  const flipped = (bytes: Buffer) => {
    const copy = Buffer.from(bytes)
    copy[copy.length - 1] = (copy.at(-1) as number) ^ 1
    return { bytes: copy }
  }
  const longer = (bytes: Buffer) => ({ bytes: Buffer.concat([bytes, Buffer.from("x")]) })

  it.scopedLive.each(["refuse", "skip", "rename"] as const)(
    "by the same file is there: %s",
    (policy) =>
      Effect.gen(function* () {
        for (const size of sample([1, 1000, 70_000, 9 * MiB], 3))
          expect(yield* pushBehind(policy, size, (mine) => ({ bytes: mine }))).toEqual({
            outcome: "same",
            as: [],
            stored: { "a.txt": "mine" }
          })
      }).pipe(memory)
  )

  it.scopedLive.each([
    ["of its size", flipped],
    ["that begins with it", longer]
  ] as const)("by another file %s is refused or renamed", ([, other]) =>
    Effect.gen(function* () {
      for (const size of [1, 70_000, 9 * MiB]) {
        for (const policy of ["refuse", "skip"] as const)
          expect(yield* pushBehind(policy, size, other)).toEqual({
            outcome: "exists",
            as: [],
            stored: { "a.txt": "other" }
          })
        expect(yield* pushBehind("rename", size, other)).toEqual({
          outcome: "a (1).txt",
          as: ["a (1).txt"],
          stored: { "a.txt": "other", "a (1).txt": "mine" }
        })
      }
    }).pipe(memory)
  )

  it.scopedLive("by another file, and its next name by the same one, is stored once", () =>
    Effect.gen(function* () {
      const numbered = (mine: Buffer) => ({ bytes: mine, name: "a (1).txt" })
      expect(yield* pushBehind("rename", 1000, numbered)).toEqual({
        outcome: "same",
        as: ["a (1).txt"],
        stored: { "a.txt": "other", "a (1).txt": "mine" }
      })
    }).pipe(memory)
  )
})

const size = 17 * MiB

/** Begins to push a file, and sends its first block and no more. */
const stalledPush = (address: Address, file: string, mtime: number) =>
  Effect.gen(function* () {
    const channel = yield* openChannel(address)
    const entry = { kind: "file", path: { text: "big" }, size, mode: 0o644, mtime } as const
    yield* channel.write(
      Buffer.concat([
        frame(F.Push, Messages.encodePush({ policy: "refuse", dry: false })),
        ...[...encode([entry])].map((body) => frame(F.Entries, body)),
        frame(F.ManifestEnd, Messages.encodeManifestEnd(1, size))
      ])
    )
    yield* channel.read
    yield* channel.write(frame(F.File, u32(0), u32(0)))
    const content = readFileSync(file)
    const send = (piece: number) =>
      channel.write(frame(F.Bytes, content.subarray(piece * MiB, (piece + 1) * MiB)))
    for (let piece = 0; piece < 9; piece++) yield* send(piece)
    /** Sends a part of the next piece, which is not written before it is complete. */
    const sendPart = (part: number) => {
      const [start, length] = [9 * MiB + part * 1000, 1000]
      const bytes = content.subarray(start, start + length)
      return channel.write(part === 0 ? Buffer.concat([header(F.Bytes, MiB), bytes]) : bytes)
    }
    return { channel, sendPart }
  })

/** Advances the clock by steps of this many milliseconds, as real time allows, until it holds. */
const advanceUntil = (what: string, millis: number, condition: () => boolean) =>
  withTimeout(
    what,
    Effect.repeat(Effect.zipRight(TestClock.adjust(millis), pause(2)), { until: condition })
  )

/** So few steps that a busy machine has time for them, each shorter than what they lead to. */
const step = limits.stalledMillis / 8

/** Joins a fiber that sleeps for short times. */
const joined = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.zipRight(
    advanceUntil("the push", 50, () => fiber.unsafePoll() !== null),
    Fiber.join(fiber)
  )

describe("a push of a file that an earlier session of the same peer holds", () => {
  const setUp = (rules?: RuleValues) =>
    Effect.gen(function* () {
      const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
      const file = path.join(local, "big")
      writeFileSync(file, randomBytes(size))
      utimesSync(file, times, times)
      const { address, events } = yield* serveFiles(remote, rules)
      const earlier = yield* stalledPush(address, file, times * 1e6)
      yield* waitUntil("the partial file", () => partialFilesIn(remote).length === 1)
      return { local, remote, file, address, events, earlier }
    })
  const ended = (events: ReadonlyArray<{ readonly _tag: string }>) =>
    events.filter(({ _tag }) => _tag === "SessionEnded").length

  it.scoped("that makes no progress ends it, and continues with what it has left", () =>
    Effect.gen(function* () {
      const { local, remote, file, address, events } = yield* setUp()
      const record = new TransferRecord()
      const push = yield* Effect.fork(pushPaths(address, [file], { record }))
      yield* pause(200)
      expect([ended(events), record.transferredBytes]).toEqual([0, 0])
      yield* advanceUntil("the end of the earlier one", step, () => ended(events) > 0)
      yield* joined(push)
      expect(record.outcomes).toEqual({ big: "stored" })
      expect(record.reusedBytes).toBe(8 * MiB)
      expect(snapshot(remote)).toEqual(snapshot(local))
    }).pipe(memory)
  )

  it.scoped("that makes progress waits, whatever time it takes", () =>
    Effect.gen(function* () {
      const { local, remote, file, address, events, earlier } = yield* setUp()
      const record = new TransferRecord()
      const push = yield* Effect.fork(pushPaths(address, [file], { record }))
      const slow = yield* Effect.fork(
        Effect.gen(function* () {
          for (let part = 0; part < 3; part++) {
            yield* Effect.sleep((limits.stalledMillis * 3) / 4)
            yield* earlier.sendPart(part)
            expect(ended(events)).toBe(0)
          }
          yield* earlier.channel.reset
        })
      )
      yield* advanceUntil("the earlier one", step, () => slow.unsafePoll() !== null)
      yield* Fiber.join(slow)
      yield* joined(push)
      expect(record.outcomes).toEqual({ big: "stored" })
      expect(record.reusedBytes).toBe(8 * MiB)
      expect(snapshot(remote)).toEqual(snapshot(local))
    }).pipe(memory)
  )

  it.scopedLive("whose room the quota does not have twice waits for it", () =>
    Effect.gen(function* () {
      const { local, remote, file, address, events, earlier } = yield* setUp({
        fileQuota: size + MiB
      })
      const push = yield* Effect.fork(pushPaths(address, [file]))
      yield* pause(100)
      expect([push.unsafePoll(), ended(events)]).toEqual([null, 0])
      yield* earlier.channel.reset
      expect((yield* withTimeout("the push", Fiber.join(push))).outcomes).toEqual({ big: "stored" })
      expect(snapshot(remote)).toEqual(snapshot(local))
    }).pipe(memory)
  )

  it.scopedLive("that ends gets the file at once", () =>
    Effect.gen(function* () {
      const { local, remote, file, address, earlier } = yield* setUp()
      const push = yield* Effect.fork(pushPaths(address, [file]))
      yield* pause(100)
      yield* earlier.channel.reset
      expect((yield* withTimeout("the push", Fiber.join(push))).outcomes).toEqual({ big: "stored" })
      expect(snapshot(remote)).toEqual(snapshot(local))
    }).pipe(memory)
  )
})
