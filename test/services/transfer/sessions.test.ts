// Parallel sessions of one peer: they share its quota and its memory, whatever they push or pull.
import { readdirSync, statSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { Control, type Channel } from "../../../src/channel/Channel.ts"
import { smallFileDigest } from "../../../src/services/transfer/Digest.ts"
import { frame, FrameType as F, u32 } from "../../../src/services/transfer/Frame.ts"
import { limits } from "../../../src/services/transfer/limits.ts"
import { encode } from "../../../src/services/transfer/Manifest.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { withTimeout, waitUntil } from "../../../src/testing/steps.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { folderOfEachTest, scopedFolder } from "../../fixtures/folder.ts"
import type { RuleValues } from "../../peers/rulesOf.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import {
  openChannel,
  partialFilesIn,
  pullPaths,
  pushPaths,
  serveFiles,
  type FileServer
} from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const folder = folderOfEachTest()
const MiB = 1024 * 1024

/** The bytes of all files below a folder, with what the quota charges for each. */
const usedIn = (at: string): number =>
  readdirSync(at)
    .map((name) => statSync(path.join(at, name)))
    .reduce((sum, { size }) => sum + size + limits.entryBytes, 0)

/** Begins to push one file in a session of its own, and returns its channel and the answer. */
const beginPush = (
  address: Address,
  size: number,
  mtime: number,
  policy: Messages.Policy,
  text = "same"
) =>
  Effect.gen(function* () {
    const channel = yield* openChannel(address)
    const entry = { kind: "file", path: { text }, size, mode: 0o644, mtime } as const
    yield* channel.write(
      Buffer.concat([
        frame(F.Push, Messages.encodePush({ policy, dry: false })),
        ...[...encode([entry])].map((body) => frame(F.Entries, body)),
        frame(F.ManifestEnd, Messages.encodeManifestEnd(1, size))
      ])
    )
    return { channel, answer: yield* nextAnswer(channel) }
  })

const nextAnswer = (channel: Channel) =>
  Effect.gen(function* () {
    const item = yield* withTimeout("an answer", channel.read)
    if (item === undefined || item instanceof Control || item[0] !== F.Answers)
      return yield* Effect.dieMessage("no answer")
    return Messages.decodeAnswers(Buffer.from(item.subarray(5)))?.[0]
  })

const count = (answers: ReadonlyArray<{ readonly answer: unknown }>, wanted: string) =>
  answers.filter(({ answer }) => answer === wanted).length

describe("a quota is not exceeded by parallel sessions", () => {
  it.scopedLive("that push the same path in many versions, and stall", () =>
    Effect.gen(function* () {
      const { address } = yield* serveFiles(folder(), { fileQuota: 30 * MiB })
      const sessions = []
      for (let version = 0; version < 6; version++)
        sessions.push(yield* beginPush(address, 12 * MiB, version, "refuse"))
      expect([count(sessions, "want"), count(sessions, "quota")]).toEqual([2, 4])
      // Those that are cut before their first block leave nothing, and make room.
      for (const { channel } of sessions) yield* channel.reset
      yield* waitUntil("room", () => partialFilesIn(folder()).length === 0)
      const later = yield* Effect.retry(
        Effect.filterOrFail(
          beginPush(address, 29 * MiB, 100, "refuse"),
          ({ answer }) => answer === "want",
          ({ answer }) => answer
        ),
        { times: 20 }
      )
      expect(later.answer).toBe("want")
    }).pipe(memory)
  )

  it.scopedLive("that push the same name with rename", () =>
    Effect.gen(function* () {
      const quota = 5 * MiB
      const { address, stored } = yield* serveFiles(folder(), { fileQuota: quota })
      const sessions = []
      for (let version = 0; version < 12; version++)
        sessions.push(yield* beginPush(address, MiB, 0, "rename"))
      expect([count(sessions, "want"), count(sessions, "quota")]).toEqual([4, 8])
      for (const [index, { channel, answer }] of sessions.entries()) {
        if (answer !== "want") continue
        const bytes = Buffer.alloc(MiB, index)
        yield* channel.write(frame(F.SmallFile, u32(0), smallFileDigest(bytes), bytes))
        yield* channel.write(frame(F.TransferEnd))
      }
      yield* waitUntil("the files", () => stored.length === 4)
      expect(usedIn(folder())).toBeLessThanOrEqual(quota)
      // Settled, and still in the total.
      expect((yield* beginPush(address, MiB + 1, 0, "rename")).answer).toBe("quota")
    }).pipe(memory)
  )

  it.scopedLive("or by what a session before has left, also after a restart", () =>
    Effect.gen(function* () {
      const rules = { fileQuota: 30 * MiB }
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const { address, events } = yield* serveFiles(folder(), rules)
          const { channel } = yield* beginPush(address, 20 * MiB, 1, "refuse")
          const piece = Buffer.alloc(MiB, 1)
          yield* channel.write(frame(F.File, u32(0), u32(0)))
          for (let sent = 0; sent < 16; sent++) yield* channel.write(frame(F.Bytes, piece))
          const written = () =>
            partialFilesIn(folder()).map((name) => statSync(path.join(folder(), name)).size)
          yield* waitUntil("the pieces", () => written()[0] === 16 * MiB)
          yield* channel.reset
          yield* waitUntil("the end of the session", () =>
            events.some(({ _tag }) => _tag === "SessionEnded")
          )
          // The partial file stays and counts: 14 MiB are left for another file.
          return (yield* beginPush(address, 15 * MiB, 1, "refuse", "other")).answer
        })
      )
      expect(first).toBe("quota")
      const { address } = yield* serveFiles(folder(), rules)
      expect((yield* beginPush(address, 15 * MiB, 1, "refuse", "other")).answer).toBe("quota")
      // A new version of the same file takes the place of what an earlier one left.
      expect((yield* beginPush(address, 29 * MiB, 2, "refuse")).answer).toBe("want")
    }).pipe(memory)
  )

  it.scopedLive("that each replace another file and stall, but for a fixed amount", () =>
    Effect.gen(function* () {
      const size = 64 * 1024
      const names = Array.from({ length: 30 }, (_, index) => `file${index}`)
      for (const name of names) writeFileSync(path.join(folder(), name), Buffer.alloc(size, 1))
      const fileQuota = usedIn(folder())
      const rules = { fileQuota, overwrite: true } as const
      const beginAll = (address: Address) =>
        Effect.gen(function* () {
          const written = partialFilesIn(folder()).length
          let wanted = 0
          for (const name of names) {
            // Files of other lengths are not compared.
            const begun = yield* beginPush(address, size - 1, 1, "overwrite", name)
            if (begun.answer !== "want") continue
            wanted++
            yield* begun.channel.write(frame(F.File, u32(0), u32(0)))
            yield* begun.channel.write(frame(F.Bytes, Buffer.alloc(size - 1, 2)))
          }
          yield* waitUntil("the pieces", () => partialFilesIn(folder()).length === written + wanted)
          yield* Effect.sleep("100 millis")
          expect(usedIn(folder())).toBeLessThanOrEqual(fileQuota + limits.replacingBytes)
          return wanted
        })
      const { address } = yield* serveFiles(folder(), rules)
      expect(yield* beginAll(address)).toBe(Math.floor(limits.replacingBytes / (size - 1 + 4096)))
      // As after a kill: the partial files stay, and another server counts them.
      const restarted = yield* serveFiles(folder(), rules)
      expect(yield* beginAll(restarted.address)).toBe(0)
    }).pipe(memory)
  )

  it.scopedLive("and an upload is resumed in a folder that has room for the rest only", () =>
    Effect.gen(function* () {
      const { address } = yield* serveFiles(folder(), { fileQuota: 21 * MiB })
      const { channel } = yield* beginPush(address, 20 * MiB, 1, "refuse")
      const piece = Buffer.alloc(MiB, 1)
      yield* channel.write(frame(F.File, u32(0), u32(0)))
      for (let sent = 0; sent < 16; sent++) yield* channel.write(frame(F.Bytes, piece))
      yield* waitUntil(
        "the pieces",
        () => statSync(path.join(folder(), partialFilesIn(folder())[0] ?? "")).size === 16 * MiB
      )
      yield* channel.reset
      yield* Effect.retry(
        Effect.gen(function* () {
          const resumed = yield* openChannel(address)
          const entry = { kind: "file", path: { text: "same" }, mode: 0o644, mtime: 1 } as const
          yield* resumed.write(
            Buffer.concat([
              frame(F.Push, Messages.encodePush({ policy: "refuse", dry: false })),
              ...[...encode([{ ...entry, size: 20 * MiB }])].map((body) => frame(F.Entries, body)),
              frame(F.ManifestEnd, Messages.encodeManifestEnd(1, 20 * MiB))
            ])
          )
          const item = yield* withTimeout("an answer", resumed.read)
          // The digests of the two blocks come before the answer.
          return item instanceof Uint8Array && item[0] === F.Digests
            ? item
            : yield* Effect.fail("busy" as const)
        }),
        { times: 20 }
      )
    }).pipe(memory)
  )
})

describe("the memory of a peer", () => {
  const many = (at: string) => {
    for (let index = 0; index < 500; index++)
      writeFileSync(path.join(at, `${index}`.padStart(200, "0")), "")
  }
  // 500 entries with long names take about 0.5 MiB beside the buffers of a session.
  const little = { peerMemory: limits.sessionMemory + MiB / 4 }
  const enough = { peerMemory: limits.sessionMemory + MiB }

  it.scopedLive("bounds the manifests that it pushes and pulls", () =>
    Effect.gen(function* () {
      const local = yield* scopedFolder
      many(local)
      for (const [options, fits] of [
        [little, false],
        [enough, true]
      ] as const) {
        const remote = yield* scopedFolder
        const { address, events } = yield* serveFiles(remote, undefined, options)
        const pushed = yield* Effect.either(pushPaths(address, [local], { suite: "NNpsk0" }))
        expect(pushed._tag).toBe(fits ? "Right" : "Left")
        if (!fits) many(remote)
        const into = yield* scopedFolder
        const pulled = yield* Effect.either(pullPaths(address, [""], into, { suite: "NNpsk0" }))
        expect(pulled._tag).toBe(fits ? "Right" : "Left")
        if (fits) continue
        const errors = () =>
          events.flatMap((event) =>
            event._tag === "SessionEnded" && event.error !== undefined ? [event.error] : []
          )
        yield* waitUntil("both errors", () => errors().length === 2)
        expect(errors()).toMatchObject([{ reason: "tooMuch" }, { reason: "tooMuch" }])
      }
    }).pipe(memory)
  )

  it.scopedLive("bounds its sessions; those of another peer are not affected", () =>
    Effect.gen(function* () {
      const { address } = yield* serveFiles(folder(), {}, little)
      const first = yield* beginPush(address, 1, 0, "refuse")
      expect(first.answer).toBe("want")
      const second = yield* Effect.fork(beginPush(address, 1, 1, "refuse"))
      yield* Effect.sleep("100 millis")
      expect(second.unsafePoll()).toBeNull()
      const local = yield* scopedFolder
      writeFileSync(path.join(local, "other"), "text")
      yield* pushPaths(address, [path.join(local, "other")], { suite: "NNpsk0" })
      yield* first.channel.reset
      expect((yield* second).answer).toBe("want")
    }).pipe(memory)
  )
})

describe("an open session ends when a new list", () => {
  const all = {
    folder: "own",
    fileQuota: 10 * MiB,
    access: ["read", "write"],
    overwrite: true
  } as const

  it.scopedLive.each<readonly [string, RuleValues, string]>([
    ["withdraws the right to write", { ...all, access: ["read"] }, "does not allow writing"],
    ["gives it another folder", { ...all, folder: "other" }, "its folder has changed"],
    ["has a smaller quota", { ...all, fileQuota: MiB }, "its file-quota has become smaller"],
    [
      "withdraws the right to overwrite",
      { folder: all.folder, fileQuota: all.fileQuota, access: all.access },
      "does not allow overwriting"
    ]
  ])("%s, and stores nothing more", ([, changed, reason]) =>
    Effect.gen(function* () {
      const { address, stored, events, replaceRules } = yield* serveFiles(folder(), all)
      const { channel, answer } = yield* beginPush(address, 4, 0, "overwrite")
      expect(answer).toBe("want")
      replaceRules(changed)
      const bytes = Buffer.from("late")
      yield* Effect.ignore(channel.write(frame(F.SmallFile, u32(0), smallFileDigest(bytes), bytes)))
      expect(yield* endOf(events)).toMatchObject({ reason: expect.stringContaining(reason) })
      expect([stored, readdirSync(path.join(folder(), "own"))]).toEqual([[], []])
    }).pipe(memory)
  )

  it.scopedLive("withdraws the right to read", () =>
    Effect.gen(function* () {
      writeFileSync(path.join(folder(), "file"), "text")
      const { address, events, replaceRules } = yield* serveFiles(folder(), { access: ["read"] })
      const channel = yield* openChannel(address)
      const pull = { links: "skip", dry: false, paths: [SafePath.root] } as const
      yield* channel.write(frame(F.Pull, Messages.encodePull(pull)))
      yield* withTimeout("the manifest", channel.read)
      replaceRules({ access: ["write"] })
      expect(yield* endOf(events)).toMatchObject({
        reason: expect.stringContaining("does not allow reading")
      })
    }).pipe(memory)
  )

  it.scopedLive("and not when the quota has become larger", () =>
    Effect.gen(function* () {
      const { address, stored, replaceRules } = yield* serveFiles(folder(), { fileQuota: MiB })
      const { channel } = yield* beginPush(address, 4, 0, "refuse")
      replaceRules({ fileQuota: 2 * MiB })
      replaceRules({})
      const bytes = Buffer.from("late")
      yield* channel.write(frame(F.SmallFile, u32(0), smallFileDigest(bytes), bytes))
      yield* waitUntil("the file", () => stored.length === 1)
    }).pipe(memory)
  )

  /** The error with which the first session of a server ends. */
  const endOf = (events: FileServer["events"]) =>
    Effect.gen(function* () {
      const end = () => events.find(({ _tag }) => _tag === "SessionEnded")
      yield* waitUntil("the end of the session", () => end() !== undefined)
      return (end() as { readonly error?: unknown }).error
    })
})
