// A source that changes while it travels: the receiver stores one of its states or nothing, also
// when the writer restores size and time.
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync
} from "node:fs"
import files from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import type { Channel } from "../../../src/channel/Channel.ts"
import { protocolLimits } from "../../../src/services/transfer/limits.ts"
import { peerTag, resumableName } from "../../../src/services/transfer/PartialFile.ts"
import { SafePath } from "../../../src/services/transfer/SafePath.ts"
import { Transport } from "../../../src/transports/index.ts"
import { dialKeys, suiteOf } from "../../channel/rig.ts"
import { withReplaced } from "../../testing/builtins.ts"
import { scopedFolder } from "../../fixtures/folder.ts"
import { sample, sampled } from "../../fixtures/sample.ts"
import {
  partialFilesIn,
  pullPaths,
  pushPaths,
  serveFiles,
  TransferRecord,
  type TransferOptions
} from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024

/** Writes a file that is equal to `state` everywhere, in place, and sets its time to the same. */
const write = (file: string, size: number, state: number): void => {
  const fd = openSync(file, existsSync(file) ? "r+" : "w")
  const piece = Buffer.alloc(MiB, state)
  for (let written = 0; written < size;)
    written += writeSync(fd, piece, 0, Math.min(MiB, size - written), written)
  closeSync(fd)
  utimesSync(file, 1000, 1000)
}

/** Calls `change` at a step of the channel: each read and each write is one. */
const changeAt = (step: number, change: () => void) => {
  let steps = 0
  const next = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      if (steps++ === step) change()
      return effect
    })
  return {
    wrap: (channel: Channel): Channel => ({
      ...channel,
      read: Effect.suspend(() => next(channel.read)),
      write: (bytes) => next(channel.write(bytes))
    }),
    steps: () => steps
  }
}

/** Changes at `count` of the steps of a transfer, which an attempt returns, and once at none. */
const atSteps = <E, R>(count: number, attempt: (step: number) => Effect.Effect<number, E, R>) =>
  Effect.gen(function* () {
    const steps = Array.from({ length: yield* attempt(Infinity) }, (_, step) => step)
    for (const step of sample(steps, count)) yield* attempt(step)
  })

type Transfer = (
  local: string,
  remote: string,
  options: TransferOptions
) => Effect.Effect<TransferRecord, unknown, Transport>

/** Each way, with the folder of the source and that of the receiver. */
const ways: ReadonlyArray<readonly [string, Transfer]> = [
  [
    "a push",
    (source, target, options) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serveFiles(target)
          return yield* pushPaths(address, [path.join(source, "file")], options)
        })
      )
  ],
  [
    "a pull",
    (source, target, options) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serveFiles(source)
          return yield* pullPaths(address, ["file"], target, options)
        })
      )
  ]
]

/** Returns the states in a file, each once; none if there is no file. */
const statesIn = (file: string): ReadonlyArray<number> =>
  existsSync(file) ? [...new Set(readFileSync(file))] : []

/** Runs an effect on a file system whose clock ticks every 10 ms, as those of older kernels do. */
const withCoarseClock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const coarse = <Stat>(stat: Stat): Stat =>
    ((...args: ReadonlyArray<unknown>) => {
      const stats: unknown = Reflect.apply(stat as () => unknown, undefined, args)
      const isExact = (each: unknown): each is files.BigIntStats =>
        typeof (each as Partial<files.BigIntStats> | undefined)?.ctimeNs === "bigint"
      if (isExact(stats)) stats.ctimeNs -= stats.ctimeNs % 10_000_000n
      return stats
    }) as Stat
  return withReplaced(files, "lstatSync", coarse, withReplaced(files, "fstatSync", coarse, effect))
}

describe.each(ways)("%s of a source that is rewritten meanwhile, its time restored", (_, run) => {
  it.scopedLive.each([5, 100_000, 5 * MiB])(
    sampled("stores one of its states or nothing: %i bytes, rewritten at any step"),
    (size) =>
      atSteps(5, (step) =>
        Effect.gen(function* () {
          const [source, target] = [yield* scopedFolder, yield* scopedFolder]
          const file = path.join(source, "file")
          write(file, size, 1)
          const before = statSync(file)
          const change = changeAt(step, () => write(file, size, 2))
          const record = yield* run(source, target, { wrap: change.wrap })
          const after = statSync(file)
          expect([after.size, after.mtimeMs]).toEqual([before.size, before.mtimeMs])
          const states = statesIn(path.join(target, "file"))
          expect([step, states.length]).toEqual([step, record.outcomes.file === "stored" ? 1 : 0])
          if (states.length === 0) expect(record.outcomes).toEqual({ file: "changed" })
          expect(partialFilesIn(target)).toEqual([])
          return change.steps()
        })
      ).pipe(memory),
    60_000
  )

  it.scopedLive(sampled("stores none while two changes get one ctime"), () =>
    atSteps(5, (step) =>
      Effect.gen(function* () {
        const size = 2 * MiB
        const [source, target] = [yield* scopedFolder, yield* scopedFolder]
        const file = path.join(source, "file")
        write(file, size, 1)
        const change = changeAt(step, () => write(file, size, 2))
        yield* run(source, target, { wrap: change.wrap })
        expect(statesIn(path.join(target, "file")).length).toBeLessThan(2)
        return change.steps()
      })
    ).pipe(withCoarseClock, memory)
  )

  it.scopedLive(sampled("compares no mixture with what the receiver has"), () =>
    Effect.gen(function* () {
      // The receiver has a file whose first block is of one state and whose second is of the other.
      const size = 2 * protocolLimits.blockBytes
      const mixture = Buffer.alloc(size, 1)
      mixture.fill(2, protocolLimits.blockBytes)
      const outcomes = new Set<unknown>()
      yield* atSteps(4, (step) =>
        Effect.gen(function* () {
          const [source, target] = [yield* scopedFolder, yield* scopedFolder]
          const file = path.join(source, "file")
          write(file, size, 1)
          writeFileSync(path.join(target, "file"), mixture)
          const change = changeAt(step, () => write(file, size, 2))
          outcomes.add((yield* run(source, target, { wrap: change.wrap })).outcomes.file)
          return change.steps()
        })
      )
      expect(outcomes.has("same")).toBe(false)
      expect(outcomes.has("exists")).toBe(true)
    }).pipe(memory)
  )
})

it.scopedLive.each([
  ["of a partial file", true],
  ["of the file", false]
] as const)(
  sampled("a push of which the receiver has every block %s keeps no mixture"),
  ([, isPartial]) =>
    Effect.gen(function* () {
      const size = 2 * protocolLimits.blockBytes
      const mixture = Buffer.alloc(size, 1)
      mixture.fill(2, protocolLimits.blockBytes)
      const tag = peerTag(dialKeys(suiteOf("IK")).identity?.publicKey ?? "")
      const outcomes = new Set<unknown>()
      const changes = Array.from({ length: 20 }, (_, read) => read)
      for (const change of sample(changes, 5)) {
        const [source, target] = [yield* scopedFolder, yield* scopedFolder]
        const file = path.join(source, "file")
        write(file, size, 1)
        const name = SafePath.root.localChild("file")
        const entry = { kind: "file", path: name, size, mode: 0o644, mtime: 1e9 } as const
        const there = isPartial ? resumableName("file", tag, entry) : "file"
        writeFileSync(path.join(target, there), mixture, { mode: 0o600 })
        // The sender reads the source once for its digests, and then what the receiver lacks.
        let reads = 0
        const { address } = yield* serveFiles(target)
        const inode = statSync(file).ino
        const { outcomes: seen } = yield* withReplaced(
          files,
          "read",
          (read) =>
            ((fd: number, ...rest: ReadonlyArray<unknown>) => {
              if (files.fstatSync(fd).ino === inode && reads++ === change) write(file, size, 2)
              return Reflect.apply(read, undefined, [fd, ...rest])
            }) as unknown as typeof read,
          pushPaths(address, [file])
        )
        outcomes.add(seen.file)
        if (isPartial) expect(statesIn(path.join(target, "file")).length).toBeLessThan(2)
      }
      expect(outcomes.has("same")).toBe(false)
      expect(outcomes.has(isPartial ? "changed" : "exists")).toBe(true)
    }).pipe(memory)
)
