// Large folders and manifests are handled in turns of the event loop, so that one session does not
// delay the others.
import { mkdirSync, writeFileSync } from "node:fs"
import files from "node:fs"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { CreatedEntries } from "../../../src/services/transfer/CreatedEntries.ts"
import { DestinationCheck } from "../../../src/services/transfer/DestinationCheck.ts"
import { FileWalker } from "../../../src/services/transfer/FileWalker.ts"
import { frame, Frames, FrameType } from "../../../src/services/transfer/Frame.ts"
import { limits } from "../../../src/services/transfer/limits.ts"
import * as Manifest from "../../../src/services/transfer/Manifest.ts"
import { readManifest } from "../../../src/services/transfer/ManifestReader.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import * as PartialFileLock from "../../../src/services/transfer/PartialFileLock.ts"
import { Quotas } from "../../../src/services/transfer/Quotas.ts"
import { SafeDirectories } from "../../../src/services/transfer/SafeDirectory.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { sortInTurns } from "../../../src/services/transfer/sortInTurns.ts"
import { noProgress } from "../../../src/services/transfer/TransferProgress.ts"
import { Transport } from "../../../src/transports/index.ts"
import { openChannel, suiteOf } from "../../channel/rig.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"
import { Turns } from "../../fixtures/Turns.ts"
import { withReplaced } from "../../testing/builtins.ts"

const folder = folderOfEachTest()
let directories: SafeDirectories
beforeEach(() => {
  directories = new SafeDirectories(folder())
})
afterEach(() => directories.close())

/** Counts the names that are read from directories while an effect runs, however it reads them. */
const countNames = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const turns = new Turns()
    const counted = withReplaced(
      files,
      "opendirSync",
      (original) => (place, options) => {
        const listing = original(place, options)
        const readSync = listing.readSync.bind(listing)
        listing.readSync = () => {
          const next = readSync()
          if (next !== null) turns.handle()
          return next
        }
        return listing
      },
      effect
    )
    yield* counted
    return turns
  })

const size = 600
const fill = () => {
  for (let index = 0; index < size; index++) writeFileSync(path.join(folder(), `n${index}`), "")
}
const entryOf = (kind: Manifest.Kind, name: string, bytes: number): Manifest.Entry => ({
  kind,
  path: SafePath.local(name) ?? SafePath.root,
  size: bytes,
  mode: 0o700,
  mtime: 1
})

describe("a large folder is read in turns", () => {
  const expectTurns = (turns: Turns) => {
    expect(turns.total).toBeGreaterThanOrEqual(size)
    expect(turns.most).toBeLessThanOrEqual(limits.entriesPerTurn)
  }

  it.live("by a pull", () =>
    Effect.gen(function* () {
      fill()
      const walker = new FileWalker("skip", directories)
      expectTurns(yield* countNames(walker.addRequested(directories, [SafePath.root], Effect.void)))
      expect(walker.sources.length).toBe(size)
    })
  )

  it.live("by a push, which looks for what earlier sessions have left", () =>
    Effect.gen(function* () {
      fill()
      const check = new DestinationCheck({
        directories,
        tag: "0123abcd",
        policy: "refuse",
        dry: false,
        reportFailure: () => Effect.void,
        entries: [entryOf("file", "new", 1)],
        collisions: new Set()
      })
      expectTurns(yield* countNames(check.check(0)))
    })
  )

  it.live("by the lock of a partial file", () =>
    Effect.gen(function* () {
      fill()
      const turns = yield* countNames(
        Effect.map(PartialFileLock.lock(directories.root, { dev: 1, ino: 2 }), (unlock) =>
          unlock?.()
        )
      )
      expectTurns(turns)
    })
  )

  it.scopedLive("by a quota", () =>
    Effect.gen(function* () {
      fill()
      // Small folders count together.
      for (let index = 0; index < 300; index++) {
        mkdirSync(path.join(folder(), `folder${index}`))
        writeFileSync(path.join(folder(), `folder${index}`, "file"), "")
      }
      expectTurns(yield* countNames(new Quotas().open(directories, 1)))
    })
  )
})

it.live("the names of a pull are sorted in turns, with one key for each", () =>
  Effect.gen(function* () {
    const names = Array.from({ length: 20_000 }, (_, index) => `${(index * 7919) % 20_000}`)
    const keys = new Turns()
    let most = 0
    let turns = 0
    let isDone = false
    const tick = () => {
      turns++
      if (!isDone) setImmediate(tick)
    }
    setImmediate(tick)
    const sorted = yield* sortInTurns(names, (name) => {
      keys.handle()
      most = Math.max(most, keys.most)
      return name
    })
    isDone = true
    expect(sorted).toEqual([...names].sort())
    expect([keys.total, most]).toEqual([names.length, limits.sortedPerTurn])
    // Ten runs are merged in four passes, of which each hands over ten times.
    expect(turns).toBeGreaterThan(40)
  })
)

it.live("a large frame of a manifest is decoded in turns", () =>
  Effect.gen(function* () {
    const entries = Array.from({ length: 2000 }, (_, index) =>
      entryOf("file", String(index).padStart(5, "0"), 0)
    )
    const [client, { channel }] = yield* openChannel(suiteOf("NNpsk0"))
    yield* Effect.fork(
      client.channel.write(
        Buffer.concat([
          frame(FrameType.Entries, ...Manifest.encode(entries)),
          frame(FrameType.ManifestEnd, Messages.encodeManifestEnd(entries.length, 0))
        ])
      )
    )
    const turns = new Turns()
    let before = 0
    const { entries: decoded } = yield* readManifest({
      channel,
      frames: new Frames(channel),
      progress: noProgress,
      pace: () => Effect.void,
      reserve: (bytes) => {
        // Each part is reserved for on its own.
        const count = Math.round(bytes / Manifest.memoryOf({ text: "00000" }))
        for (let index = 0; index < count; index++) turns.handle()
        before += count
        return true
      }
    })
    expect([decoded.length, before]).toEqual([2000, 2000])
    expect(turns.most).toBeLessThanOrEqual(limits.entriesPerTurn)
  }).pipe(Effect.scoped, Effect.provide(Transport.layerMemory()))
)

it.live("the attributes of many folders are set in turns", () =>
  Effect.gen(function* () {
    const entries = Array.from({ length: 600 }, (_, index) => entryOf("folder", `f${index}`, 0))
    const created = new CreatedEntries(directories, entries)
    for (const [index, entry] of entries.entries()) {
      directories.ensure(entry.path, 0o700)
      created.add(index, true)
    }
    const turns = new Turns()
    const get = directories.get.bind(directories)
    directories.get = (at) => {
      if (at.depth > 0) turns.handle()
      return get(at)
    }
    yield* created.applyAttributes
    expect(turns.total).toBe(600)
    expect(turns.most).toBeLessThanOrEqual(limits.entriesPerTurn)
  })
)
