// What has arrived when a session ends early: complete files are stored, whatever has ended it, and
// the next session continues with the rest.
import { randomBytes } from "node:crypto"
import files, { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect } from "vitest"
import type { Channel } from "../../../src/channel/Channel.ts"
import { smallFileDigest } from "../../../src/services/transfer/Digest.ts"
import { frame, FrameType as F, u32 } from "../../../src/services/transfer/Frame.ts"
import { encode } from "../../../src/services/transfer/Manifest.ts"
import * as Messages from "../../../src/services/transfer/Messages.ts"
import { pause, waitUntil, withTimeout } from "../../../src/testing/steps.ts"
import type { Address } from "../../../src/transports/Address.ts"
import { Transport } from "../../../src/transports/index.ts"
import { scopedFolder } from "../../fixtures/folder.ts"
import { withReplaced } from "../../testing/builtins.ts"
import {
  openChannel,
  partialFilesIn,
  pullPaths,
  pushPaths,
  serveFiles,
  TransferRecord,
  type FileServer
} from "./Transfers.ts"

const memory = Effect.provide(Transport.layerMemory())
const MiB = 1024 * 1024
const total = 30
const nameOf = (index: number) => String(index).padStart(2, "0")

/** The indices of the files that are stored, each with its content. */
const storedIn = (at: string, content: (index: number) => Uint8Array): ReadonlyArray<number> =>
  Array.from({ length: total }, (_, index) => index).filter((index) => {
    const file = path.join(at, nameOf(index))
    if (!existsSync(file)) return false
    expect(Buffer.compare(readFileSync(file), content(index))).toBe(0)
    return true
  })

type Sync = "openSync" | "writeSync" | "linkSync"

/** The calls that count: those that create a file, and those that flush one. */
const countedCalls: Readonly<Record<string, (args: ReadonlyArray<unknown>) => boolean>> = {
  openSync: ([, flags]) => (Number(flags) & files.constants.O_CREAT) > 0,
  fsync: ([fd]) => files.fstatSync(Number(fd)).isFile()
}

/** Makes one call of a function of node:fs fail as on a full disk: that of this number. */
const failingAt = <A, E, R>(name: Sync | "fsync", at: number, effect: Effect.Effect<A, E, R>) => {
  let calls = 0
  const full = Object.assign(new Error("no space"), { code: "ENOSPC" })
  type Callable = (...args: ReadonlyArray<unknown>) => unknown
  return withReplaced(
    files as unknown as Record<string, Callable>,
    name,
    (original) =>
      (...args) => {
        const counts = countedCalls[name]?.(args) !== false
        if (!counts || calls++ !== at) return Reflect.apply(original as Callable, undefined, args)
        if (name !== "fsync") throw full
        return setImmediate(args.at(-1) as (error: Error) => void, full)
      },
    effect
  )
}

describe.each(["push", "pull"] as const)("a full disk of the receiver of a %s", (way) => {
  it.scopedLive.each<readonly [Sync | "fsync", number]>([
    ["openSync", 0],
    ["openSync", 12],
    ["writeSync", 1],
    ["writeSync", 29],
    ["linkSync", 0],
    ["linkSync", 17],
    ["fsync", 0],
    ["fsync", 17]
  ])("at %s %i keeps the complete files, and the next session brings the rest", ([name, at]) =>
    Effect.gen(function* () {
      const [source, target] = [yield* scopedFolder, yield* scopedFolder]
      const content = (index: number) => Buffer.alloc(1000 + index, index)
      const top = path.join(source, "top")
      mkdirSync(top)
      for (let index = 0; index < total; index++)
        writeFileSync(path.join(top, nameOf(index)), content(index))
      const { address } = yield* serveFiles(way === "push" ? target : source)
      const transfer = (record: TransferRecord) =>
        way === "push"
          ? pushPaths(address, [top], { record })
          : pullPaths(address, ["top"], target, { record })
      const record = new TransferRecord()
      const failed = yield* Effect.flip(
        Effect.mapError(failingAt(name, at, transfer(record)), (error) => error)
      )
      expect(failed).toMatchObject(
        way === "push"
          ? { _tag: "TransferStopped", reason: "diskFull" }
          : { _tag: "DiskFailed", code: "ENOSPC" }
      )
      const there = path.join(target, "top")
      yield* waitUntil("the end", () => partialFilesIn(target).length === 0)
      const stored = storedIn(there, content)
      // All before the last that was read, but for the one that failed.
      const last = stored.at(-1) ?? -1
      const isFirst = name === "openSync" || name === "writeSync"
      expect(stored.length).toBeGreaterThanOrEqual(isFirst ? at : Math.max(at, last))
      if (isFirst) expect(stored).toEqual(Array.from({ length: at }, (_, index) => index))
      const received = [...record.byPath].filter(([, outcome]) => outcome === "stored")
      expect(received.map(([text]) => text)).toEqual(stored.map((index) => `top/${nameOf(index)}`))
      const rest = new TransferRecord()
      yield* transfer(rest)
      expect(storedIn(there, content)).toHaveLength(total)
      expect([...rest.byPath.values()].filter((outcome) => outcome === "same")).toHaveLength(
        stored.length
      )
    }).pipe(memory)
  )
})

const content = (index: number) => Buffer.from(`content ${index}`)

/** Pushes all small files but the end of the transfer, and waits until the server has them. */
const pushAll = (address: Address, remote: string) =>
  Effect.gen(function* () {
    const channel = yield* openChannel(address)
    const entries = Array.from({ length: total }, (_, index) => ({
      kind: "file" as const,
      path: { text: nameOf(index) },
      size: content(index).length,
      mode: 0o644,
      mtime: 1
    }))
    const bytes = entries.reduce((sum, { size }) => sum + size, 0)
    yield* channel.write(
      Buffer.concat([
        frame(F.Push, Messages.encodePush({ policy: "refuse", dry: false })),
        ...[...encode(entries)].map((body) => frame(F.Entries, body)),
        frame(F.ManifestEnd, Messages.encodeManifestEnd(total, bytes))
      ])
    )
    yield* withTimeout("the answers", channel.read)
    yield* channel.write(
      Buffer.concat(
        entries.map((_, index) =>
          frame(F.SmallFile, u32(index), smallFileDigest(content(index)), content(index))
        )
      )
    )
    yield* waitUntil("the files", () => readdirSync(remote).length === total)
    return channel
  })

describe("a session that ends before its files are flushed", () => {
  const ends: ReadonlyArray<
    readonly [string, (channel: Channel, server: FileServer) => Effect.Effect<void, unknown>]
  > = [
    ["is lost", (channel) => channel.reset],
    ["breaks the protocol", (channel) => channel.write(frame(F.Done))],
    ["is stopped by its client", (channel) => channel.write(frame(F.Stop, Buffer.from([1])))]
  ]

  it.scopedLive.each(ends)("and %s stores them", ([, end]) =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const server = yield* serveFiles(remote)
      const channel = yield* pushAll(server.address, remote)
      yield* end(channel, server)
      yield* waitUntil("the end", () => server.events.some(({ _tag }) => _tag === "SessionEnded"))
      expect(storedIn(remote, content)).toHaveLength(total)
      expect([partialFilesIn(remote), server.stored.length]).toEqual([[], total])
    }).pipe(memory)
  )

  it.scopedLive("while they are flushed stores them", () =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const { address, events, stored } = yield* serveFiles(remote)
      const held: Array<() => void> = []
      const hold = <Fsync>(fsync: Fsync): Fsync =>
        ((...args: ReadonlyArray<unknown>) => {
          held.push(() => Reflect.apply(fsync as () => void, undefined, args))
        }) as Fsync
      const release = () => {
        for (const flush of held.splice(0)) flush()
        return events.some(({ _tag }) => _tag === "SessionEnded")
      }
      const test = Effect.gen(function* () {
        const channel = yield* pushAll(address, remote)
        yield* waitUntil("a flush", () => held.length > 0)
        yield* channel.reset
        yield* pause(50)
        yield* waitUntil("the end", release)
      })
      yield* withReplaced(files, "fsync", hold, test)
      expect(storedIn(remote, content)).toHaveLength(total)
      expect([partialFilesIn(remote), stored.length]).toEqual([[], total])
    }).pipe(memory)
  )

  it.scopedLive("because its server stops stores them", () =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const stopped = Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serveFiles(remote)
          yield* Effect.scoped(pushAll(address, remote))
        })
      )
      yield* stopped
      expect(storedIn(remote, content)).toHaveLength(total)
    }).pipe(memory)
  )

  it.scopedLive("because it may not write any more stores nothing of them", () =>
    Effect.gen(function* () {
      const remote = yield* scopedFolder
      const { address, events, stored, replaceRules } = yield* serveFiles(remote, {})
      yield* pushAll(address, remote)
      replaceRules({ access: ["read"] })
      yield* waitUntil("the end", () => events.some(({ _tag }) => _tag === "SessionEnded"))
      expect([readdirSync(remote), stored]).toEqual([[], []])
    }).pipe(memory)
  )
})

it.scopedLive("a session that ends waits for its writes before it gives up the file", () =>
  Effect.gen(function* () {
    const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
    const file = path.join(local, "big")
    writeFileSync(file, randomBytes(12 * MiB))
    const { address, events } = yield* serveFiles(remote)
    const held: Array<() => void> = []
    const closed = new Set<number>()
    const written = new Set<number>()
    const hold = <Write>(write: Write): Write =>
      ((...args: ReadonlyArray<unknown>) => {
        written.add(args[0] as number)
        held.push(() => Reflect.apply(write as () => void, undefined, args))
      }) as Write
    const record = <Close extends (fd: number) => void>(close: Close): Close =>
      ((fd: number) => {
        if (held.length > 0) closed.add(fd)
        close(fd)
      }) as Close
    const test = Effect.gen(function* () {
      const push = yield* Effect.fork(pushPaths(address, [file]))
      yield* waitUntil("a write", () => held.length > 0)
      yield* Fiber.interrupt(push)
      yield* pause(100)
      expect(events.some(({ _tag }) => _tag === "SessionEnded")).toBe(false)
      expect([...written].filter((fd) => closed.has(fd))).toEqual([])
      for (const write of held.splice(0)) write()
      yield* waitUntil("the end", () => {
        for (const write of held.splice(0)) write()
        return events.some(({ _tag }) => _tag === "SessionEnded")
      })
    })
    yield* withReplaced(files, "write", hold, withReplaced(files, "closeSync", record, test))
    expect(partialFilesIn(remote)).toHaveLength(1)
  }).pipe(memory)
)

it.scopedLive("a folder whose name cannot be flushed leaves its files without receipts", () =>
  Effect.gen(function* () {
    const [local, remote] = [yield* scopedFolder, yield* scopedFolder]
    mkdirSync(path.join(local, "top"))
    writeFileSync(path.join(local, "top/file"), "text")
    const { address, stored } = yield* serveFiles(remote)
    const { ino } = files.statSync(remote)
    const failing = <Fsync>(fsync: Fsync): Fsync =>
      ((fd: number, done: (error: Error) => void) =>
        files.fstatSync(fd).ino === ino
          ? setImmediate(done, Object.assign(new Error("failed"), { code: "EIO" }))
          : Reflect.apply(fsync as () => void, undefined, [fd, done])) as Fsync
    const record = new TransferRecord()
    const push = pushPaths(address, [path.join(local, "top")], { record })
    yield* Effect.either(withReplaced(files, "fsync", failing, push))
    expect([record.outcomes, stored]).toEqual([{ top: "made", "top/file": "failed" }, []])
  }).pipe(memory)
)
