// Many stored messages: a batch is acknowledged by one statement, and `prune` deletes in
// transactions that let senders in between.
import { randomBytes } from "node:crypto"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/FastCheck"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Inbox, InboxMessages } from "../../../src/services/inbox/Inbox.ts"
import { limits } from "../../../src/services/inbox/limits.ts"
import type { RemotePeer } from "../../../src/services/Service.ts"
import * as InboxTable from "../../../src/services/inbox/InboxTable.ts"
import { sqlite } from "../../../src/services/inbox/dialects.ts"
import { open } from "../../../src/services/inbox/SqliteFile.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()

const alice: RemotePeer = { peer: "alice", from: "", publicKey: Buffer.alloc(32, 1), suite: "IK" }
const messages = (count: number, size = 1) =>
  Array.from({ length: count }, () => ({ id: randomBytes(16), text: Buffer.alloc(size) }))
const everything = { limit: 100_000, textBytes: 0 }
const later = () => Date.now() + 60_000

/** An inbox, and the statements that it runs. */
const observed = Effect.gen(function* () {
  const { runSingle } = yield* open(path.join(folder(), "inbox.db"))
  const statements: Array<string> = []
  const inbox = yield* InboxTable.make(sqlite, (statement, parameters) => {
    statements.push(statement)
    return runSingle(statement, parameters)
  })
  return { inbox, statements }
})

describe("acknowledging", () => {
  it.scopedLive("takes one statement for the messages of a transaction", () =>
    Effect.gen(function* () {
      const { inbox, statements } = yield* observed
      const count = limits.transactionMessages + 10
      yield* inbox.handle(messages(count), alice)
      const stored = yield* inbox.list(everything)
      const [kept, ...others] = stored.map(({ sequence }) => sequence)
      statements.length = 0
      yield* inbox.acknowledge(others)
      expect(statements.length).toBe(2)
      expect((yield* inbox.list(everything)).map(({ sequence }) => sequence)).toEqual([kept])
    })
  )
})

describe("pruning", () => {
  it.scopedLive("deletes the rows of many transactions, and no others", () =>
    Effect.gen(function* () {
      const { inbox } = yield* observed
      const count = 2 * limits.prunedMessages + 100
      yield* inbox.handle(messages(count), alice)
      const sequences = (yield* inbox.list(everything)).map(({ sequence }) => sequence)
      const acknowledged = sequences.filter((sequence) => sequence % 5 !== 0)
      yield* inbox.acknowledge(acknowledged)
      expect(yield* inbox.prune({ before: Date.now() - 60_000, pending: true })).toBe(0)
      expect(yield* inbox.prune({ before: later(), pending: false })).toBe(acknowledged.length)
      expect((yield* inbox.list(everything)).map(({ sequence }) => sequence)).toEqual(
        sequences.filter((sequence) => sequence % 5 === 0)
      )
      yield* inbox.handle(messages(count), alice)
      const pending = count + count - acknowledged.length
      expect(yield* inbox.prune({ before: later(), pending: true })).toBe(pending)
      expect(yield* inbox.list(everything)).toEqual([])
    })
  )

  it.scopedLive.each([false, true])(
    "lets a sender in before it has ended: pending messages %s",
    (pending) =>
      Effect.gen(function* () {
        const { inbox } = yield* observed
        yield* inbox.handle(messages(3 * limits.prunedMessages), alice)
        const stored = yield* inbox.list(everything)
        if (!pending) yield* inbox.acknowledge(stored.map(({ sequence }) => sequence))
        const ended: Array<string> = []
        const pruning = yield* Effect.fork(
          Effect.tap(inbox.prune({ before: later(), pending }), () =>
            Effect.sync(() => ended.push("prune"))
          )
        )
        yield* Effect.yieldNow()
        yield* inbox.handle(messages(1), alice)
        ended.push("send")
        yield* Fiber.join(pruning)
        expect(ended).toEqual(["send", "prune"])
      })
  )

  it.scopedLive("limits the bytes of pending messages that one transaction deletes", () =>
    Effect.gen(function* () {
      const { inbox, statements } = yield* observed
      yield* inbox.handle(messages(5, limits.prunedBytes / 2), alice)
      statements.length = 0
      expect(yield* inbox.prune({ before: later(), pending: true })).toBe(5)
      // The last one may exceed the limit: three and two.
      const deletions = statements.filter(
        (statement) => statement.startsWith("DELETE") && statement.includes("received_at")
      )
      expect(deletions.length).toBe(2)
    })
  )
})

describe("consuming with a count", () => {
  it.live("leases that many messages, in batches, and no other", () =>
    Effect.promise(() =>
      Arbitrary.assert(
        Arbitrary.asyncProperty(
          Arbitrary.nat(12),
          Arbitrary.nat(15),
          Arbitrary.integer({ min: 1, max: 5 }),
          async (stored, count, batch) => {
            const consume = Effect.gen(function* () {
              yield* (yield* Inbox).handle(messages(stored), alice)
              const batches = yield* Stream.runCollect(Inbox.consumeBatches({ batch, count }))
              const all = yield* (yield* InboxMessages).list(everything)
              return { batches: Chunk.toReadonlyArray(batches), all }
            })
            const { batches, all } = await Effect.runPromise(
              Effect.provide(consume, Inbox.layerMemory)
            )
            const taken = Math.min(stored, count)
            expect(batches.flat().length).toBe(taken)
            expect(batches.every(({ length }) => length > 0 && length <= batch)).toBe(true)
            expect(all.map(({ attempts }) => attempts)).toEqual(
              all.map((_, index) => (index < taken ? 1 : 0))
            )
          }
        ),
        { numRuns: 50 }
      )
    )
  )
})
