// The library's files: streams, random access, and output files.
import { randomBytes } from "node:crypto"
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import { Secret } from "../../src/bytes/Secret.ts"
import { chunkBytes, tagBytes } from "../../src/files/Cobblestone.ts"
import * as EncryptedFile from "../../src/files/EncryptedFile.ts"
import * as Input from "../../src/files/Input.ts"
import { JobState, batchRunner, type ChunkJob } from "../../src/files/workers/ChunkJob.ts"
import * as Output from "../../src/files/Output.ts"
import { ByteCounter } from "../../src/files/Payload.ts"
import * as RandomAccess from "../../src/files/RandomAccess.ts"
import { Recipients } from "../../src/files/Recipients.ts"
import { fileKey } from "./inMemory.ts"
import { sharedFolder } from "../fixtures/folder.ts"

const key = Secret.random(32)
const to = Recipients.FileKey({ key })
const folder = sharedFolder()
const at = (name: string) => path.join(folder, name)

const encryptFile = (from: string, into: string, counter?: ByteCounter) =>
  Effect.gen(function* () {
    const output = yield* Output.toFile(into, { overwrite: true, mode: 0o600 })
    yield* EncryptedFile.encrypt(yield* Input.fromFile(from), output, to, counter)
    yield* output.commit
  }).pipe(Effect.scoped)

const decryptFile = (from: string, into: string) =>
  Effect.gen(function* () {
    const input = yield* Input.fromFile(from)
    const opened = yield* EncryptedFile.unlock(input, fileKey(key))
    const output = yield* Output.toFile(into, { overwrite: true, mode: 0o600 })
    yield* EncryptedFile.decrypt(input, output, opened)
    yield* output.commit
  }).pipe(Effect.scoped)

const lengths = [
  0,
  1,
  chunkBytes - 1,
  chunkBytes,
  chunkBytes + 1,
  16 * chunkBytes,
  16 * chunkBytes + 1,
  33 * chunkBytes
]

it.effect.each(lengths)("a file of %i bytes round-trips on disk", (length) =>
  Effect.gen(function* () {
    const content = randomBytes(length)
    writeFileSync(at("plain"), content)
    const counter = new ByteCounter()
    yield* encryptFile(at("plain"), at("sealed"), counter)
    expect(counter.current()).toBe(length)
    yield* decryptFile(at("sealed"), at("again"))
    expect(content.equals(readFileSync(at("again")))).toBe(true)
  })
)

it.effect("a file on disk that ends within the tag of its last chunk is truncated", () =>
  Effect.gen(function* () {
    writeFileSync(at("plain"), randomBytes(2 * chunkBytes + 77))
    yield* encryptFile(at("plain"), at("sealed"))
    const sealed = readFileSync(at("sealed"))
    const lastChunkAt = sealed.length - 77 - tagBytes
    for (const left of [0, 1, tagBytes - 1]) {
      writeFileSync(at("sealed"), sealed.subarray(0, lastChunkAt + left))
      expect(yield* Effect.flip(decryptFile(at("sealed"), at("again")))).toMatchObject({
        _tag: "FileTruncated"
      })
    }
  })
)

it.scopedLive("a file that is written to is not unchanged, also with its time set back", () =>
  Effect.gen(function* () {
    writeFileSync(at("source"), "one")
    // A file system sets the ctime by a clock with a tick.
    yield* Effect.sleep("30 millis")
    const { file } = yield* Input.fromFile(at("source"))
    expect(yield* file?.isUnchanged ?? Effect.succeed(undefined)).toBe(true)
    const { atime, mtime } = statSync(at("source"))
    writeFileSync(at("source"), "two")
    utimesSync(at("source"), atime, mtime)
    expect(yield* file?.isUnchanged ?? Effect.succeed(undefined)).toBe(false)
  })
)

it.scoped("a stream that fails while its start is read gives its own error", () =>
  Effect.gen(function* () {
    const stream = Stream.concat(Stream.make(Buffer.from("SEAL")), Stream.fail("cut" as const))
    const input = yield* Input.fromStream("stream", stream)
    expect(yield* Effect.flip(EncryptedFile.unlock(input, fileKey(key)))).toBe("cut")
  })
)

describe("random access", () => {
  const content = randomBytes(5 * chunkBytes + 77)
  beforeAll(async () => {
    writeFileSync(at("content"), content)
    await Effect.runPromise(encryptFile(at("content"), at("content.sealed")))
  })

  it.scopedLive.prop(
    "reads any range of the content",
    {
      start: FastCheck.integer({ min: 0, max: content.length + 10 }),
      length: FastCheck.integer({ min: 0, max: 3 * chunkBytes })
    },
    ({ start, length }) =>
      Effect.gen(function* () {
        const { size, readRange } = yield* RandomAccess.open(at("content.sealed"), fileKey(key))
        expect(size).toBe(content.length)
        expect(
          content.subarray(start, start + length).equals(yield* readRange(start, length))
        ).toBe(true)
      }),
    { fastCheck: { numRuns: 60 } }
  )

  it.scoped(
    "a changed chunk fails only ranges that contain it; a truncated file does not open",
    () =>
      Effect.gen(function* () {
        const sealed = readFileSync(at("content.sealed"))
        const changed = Buffer.from(sealed)
        const spot = sealed.length - 3 * chunkBytes
        changed[spot] = (changed[spot] ?? 0) ^ 1
        writeFileSync(at("changed"), changed)
        const { readRange } = yield* RandomAccess.open(at("changed"), fileKey(key))
        expect(content.subarray(0, 100).equals(yield* readRange(0, 100))).toBe(true)
        expect(yield* Effect.flip(readRange(0, content.length))).toMatchObject({
          _tag: "FileTampered"
        })
        for (const length of [sealed.length - 1, sealed.length - 77 - 16]) {
          writeFileSync(at("cut"), sealed.subarray(0, length))
          const error = yield* Effect.flip(RandomAccess.open(at("cut"), fileKey(key)))
          expect(["FileTampered", "FileTruncated"]).toContain(error._tag)
        }
      })
  )
})

describe("an output file", () => {
  it.effect("exists only after commit, and leaves no temporary file", () =>
    Effect.gen(function* () {
      const write = (commit: boolean) =>
        Effect.gen(function* () {
          const output = yield* Output.toFile(at("place"), { overwrite: false, mode: 0o600 })
          yield* output.write(Buffer.from("content"))
          expect(existsSync(at("place"))).toBe(false)
          if (commit) yield* output.commit
        }).pipe(Effect.scoped)
      yield* write(false)
      expect(readdirSync(folder).filter((name) => name.includes("place"))).toEqual([])
      yield* write(true)
      expect(readdirSync(folder).filter((name) => name.includes("place"))).toEqual(["place"])
      expect(yield* Effect.flip(write(true))).toMatchObject({ _tag: "FileExists" })
    })
  )

  it.effect("is written by one of two concurrent writers", () =>
    Effect.gen(function* () {
      const write = Effect.gen(function* () {
        const output = yield* Output.toFile(at("raced"), { overwrite: false, mode: 0o600 })
        yield* Effect.yieldNow()
        yield* output.commit
      }).pipe(Effect.scoped, Effect.either)
      const tags = (yield* Effect.all([write, write], { concurrency: 2 })).map(({ _tag }) => _tag)
      expect(tags.toSorted()).toEqual(["Left", "Right"])
    })
  )
})

it.effect("a file that becomes shorter while it is read fails", () =>
  Effect.gen(function* () {
    writeFileSync(at("shrinking"), Buffer.alloc(3_000_000))
    const error = yield* Effect.gen(function* () {
      const input = yield* Input.fromFile(at("shrinking"))
      truncateSync(at("shrinking"), 1_000_000)
      const output = yield* Output.toFile(at("shrunk"), { overwrite: true, mode: 0o600 })
      return yield* Effect.flip(EncryptedFile.encrypt(input, output, to))
    }).pipe(Effect.scoped)
    expect(error).toMatchObject({
      _tag: "FileUnreadable",
      detail: "became shorter while it was read"
    })
  })
)

it("no batch of a job is processed twice by several workers", () => {
  const shared = JobState.make()
  const [one, other] = [new JobState(shared), new JobState(shared)]
  expect([one.takeBatch(), other.takeBatch(), other.takeBatch(), one.takeBatch()]).toEqual([
    0, 1, 2, 3
  ])
  const job = { direction: "seal", bytes: 0, state: shared } as unknown as ChunkJob
  expect(batchRunner(job)()).toBe("done")
})

it.scoped("a failed stream is not treated as an ended one", () =>
  Effect.gen(function* () {
    const broken = EncryptedFile.encryptStream(to)(
      Stream.concat(Stream.make(randomBytes(100_000)), Stream.fail("broken" as const))
    )
    const { content } = yield* EncryptedFile.decryptStream(broken, fileKey(key))
    expect(yield* Effect.flip(Stream.runDrain(content))).toBe("broken")
  })
)
