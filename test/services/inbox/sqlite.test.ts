// The SQLite file of an inbox: what is left of deleted texts, who may end a lease, settings, locks,
// and files of newer versions.
import { randomBytes } from "node:crypto"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { RemotePeer } from "../../../src/services/Service.ts"
import { InboxRefused } from "../../../src/services/inbox/InboxErrors.ts"
import { limits } from "../../../src/services/inbox/limits.ts"
import { sqlite } from "../../../src/services/inbox/dialects.ts"
import { open, tryLock } from "../../../src/services/inbox/SqliteFile.ts"
import * as SqliteStore from "../../../src/services/inbox/SqliteStore.ts"
import { migrate } from "../../../src/services/inbox/migrate.ts"
import { pause, withTimeout } from "../../../src/testing/steps.ts"
import { folderOfEachTest } from "../../fixtures/folder.ts"

const folder = folderOfEachTest()
const file = () => path.join(folder(), "inbox.db")

const alice: RemotePeer = { peer: "alice", from: "", publicKey: Buffer.alloc(32, 1), suite: "IK" }
const message = (text: string | Buffer) => ({ id: randomBytes(16), text: Buffer.from(text) })
const lease = { count: 100, millis: 60_000 }

/** The bytes of the database and of SQLite's files beside it. */
const bytesOnDisk = () =>
  Buffer.concat(readdirSync(folder()).map((name) => readFileSync(path.join(folder(), name))))

describe("the text of a message", () => {
  it.live.each([
    ["short", 100],
    ["on pages of its own", 50_000]
  ] as const)("is on the disk until it is acknowledged, and not afterwards: %s", ([, length]) =>
    Effect.gen(function* () {
      const marker = "the quick brown fox, once"
      const text = marker.padEnd(length, ".")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const inbox = yield* SqliteStore.make(file(), {})
          yield* inbox.handle([message("before"), message(text), message("after")], alice)
          expect(bytesOnDisk().includes(marker)).toBe(true)
          const stored = yield* inbox.list({ limit: 10, textBytes: 10 })
          yield* inbox.acknowledge([stored[1]?.sequence ?? 0])
        })
      )
      // Closing moves SQLite's log into the file.
      const log = `${file()}-wal`
      expect(existsSync(log) ? statSync(log).size : 0).toBe(0)
      expect(bytesOnDisk().includes(marker)).toBe(false)
      expect(bytesOnDisk().includes("before")).toBe(true)
      const again = yield* Effect.scoped(
        Effect.flatMap(SqliteStore.make(file(), {}), (inbox) =>
          inbox.list({ limit: 10, textBytes: 10 })
        )
      )
      expect(again.map((row) => Buffer.from(row.text).toString())).toEqual(["before", "after"])
    })
  )

  it.live("is not on the disk after its row was pruned", () =>
    Effect.gen(function* () {
      const marker = "never acknowledged"
      yield* Effect.scoped(
        Effect.gen(function* () {
          const inbox = yield* SqliteStore.make(file(), {})
          yield* inbox.handle([message(marker.padEnd(9000, "."))], alice)
          expect(yield* inbox.prune({ before: Date.now() + 1000, pending: false })).toBe(0)
          expect(yield* inbox.prune({ before: Date.now() + 1000, pending: true })).toBe(1)
        })
      )
      expect(bytesOnDisk().includes(marker)).toBe(false)
    })
  )
})

it.scopedLive("the depth counts the messages that are not acknowledged", () =>
  Effect.gen(function* () {
    const inbox = yield* SqliteStore.make(file(), {})
    expect(yield* inbox.depth).toEqual({ messages: 0, oldest: undefined, dead: 0 })
    yield* inbox.handle([message("a"), message("b"), message("c")], alice)
    const [first, second] = yield* inbox.list({ limit: 2, textBytes: 1 })
    yield* inbox.acknowledge([first?.sequence ?? 0])
    expect(yield* inbox.depth).toEqual({ messages: 2, oldest: second?.receivedAt, dead: 0 })
  })
)

it.scopedLive("a message that is acknowledged again keeps the time of the first", () =>
  Effect.gen(function* () {
    const inbox = yield* SqliteStore.make(file(), {})
    yield* inbox.handle([message("text")], alice)
    const [stored] = yield* inbox.list({ limit: 1, textBytes: 1 })
    const acknowledge = inbox.acknowledge([stored?.sequence ?? 0])
    yield* acknowledge
    yield* pause(50)
    const between = Date.now()
    yield* pause(50)
    yield* acknowledge
    expect(yield* inbox.prune({ before: between, pending: false })).toBe(1)
  })
)

describe("a lease", () => {
  it.scopedLive("is of messages up to a limit in bytes, which the last may exceed", () =>
    Effect.gen(function* () {
      const inbox = yield* SqliteStore.make(file(), {})
      const size = limits.leaseBytes / 2 + 1
      yield* inbox.handle(
        Array.from({ length: 3 }, () => message(Buffer.alloc(size))),
        alice
      )
      expect((yield* inbox.lease(lease)).length).toBe(2)
      expect((yield* inbox.lease(lease)).length).toBe(1)
    })
  )

  it.scopedLive("is ended only by the consumer that has it, and by its last one", () =>
    Effect.gen(function* () {
      const [one, other] = [
        yield* SqliteStore.make(file(), {}),
        yield* SqliteStore.make(file(), {})
      ]
      yield* one.handle([message("text")], alice)
      const [first] = yield* one.lease({ ...lease, millis: 0 })
      const [second] = yield* other.lease(lease)
      if (first === undefined || second === undefined) return yield* Effect.dieMessage("no lease")
      expect([first.attempts, second.attempts]).toEqual([1, 2])
      yield* one.release(first)
      expect(yield* one.lease(lease)).toEqual([])
      // The same attempt, of another consumer.
      yield* one.release(second)
      expect(yield* one.lease(lease)).toEqual([])
      yield* other.release(second)
      expect((yield* one.lease(lease)).map(({ attempts }) => attempts)).toEqual([3])
    })
  )
})

describe("the connection", () => {
  it.scopedLive("flushes each commit, and keeps a log that readers do not wait for", () =>
    Effect.gen(function* () {
      const { runSingle } = yield* open(file())
      const value = (name: string) =>
        Effect.map(
          runSingle(`SELECT * FROM pragma_${name}`),
          ([row]) => Object.values(row ?? {})[0]
        )
      expect(yield* value("synchronous")).toBe(2)
      expect(yield* value("journal_mode")).toBe("wal")
      expect(yield* value("secure_delete")).toBe(1)
    })
  )

  it.scopedLive("rolls back what has failed, and goes on", () =>
    Effect.gen(function* () {
      const { transaction, runSingle } = yield* Effect.map(open(file()), (connection) => ({
        transaction: connection.transaction.bind(connection),
        runSingle: connection.runSingle
      }))
      yield* runSingle("CREATE TABLE t (x)")
      const failed = transaction((run) =>
        Effect.zipRight(run("INSERT INTO t VALUES (1)"), Effect.fail("deliberate" as const))
      )
      expect(yield* Effect.flip(failed)).toBe("deliberate")
      expect(yield* Effect.flip(runSingle("INSERT INTO none VALUES (1)"))).toBeInstanceOf(
        InboxRefused
      )
      yield* runSingle("INSERT INTO t VALUES (2)")
      expect(yield* runSingle("SELECT x FROM t")).toMatchObject([{ x: 2 }])
    })
  )

  it.scopedLive("waits for another that holds the lock", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* open(file()), yield* open(file())]
      yield* one.runSingle("CREATE TABLE t (x)")
      const holding = yield* Effect.fork(
        one.transaction((run) =>
          Effect.zipRight(run("INSERT INTO t VALUES (1)"), Effect.sleep("300 millis"))
        )
      )
      yield* pause(100)
      yield* withTimeout("the other connection", other.runSingle("INSERT INTO t VALUES (2)"))
      yield* Fiber.join(holding)
      expect(yield* one.runSingle("SELECT x FROM t ORDER BY x")).toMatchObject([{ x: 1 }, { x: 2 }])
    })
  )
})

it.live("a lock is held by one, until its scope closes", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    expect(yield* Scope.extend(tryLock(file()), scope)).toBe(true)
    expect(yield* Effect.scoped(tryLock(file()))).toBe(false)
    yield* Scope.close(scope, Exit.void)
    expect(yield* Effect.scoped(tryLock(file()))).toBe(true)
  })
)

it.scopedLive("a file of a newer version is not opened", () =>
  Effect.gen(function* () {
    const { runSingle } = yield* open(file())
    yield* runSingle("INSERT INTO sealwire_schema (version) VALUES (99)")
    const error = yield* Effect.flip(migrate(file(), sqlite, runSingle))
    expect(error).toMatchObject({
      _tag: "InboxUnusable",
      reason: "it was created by a newer version of sealwire; upgrade this one"
    })
  })
)
