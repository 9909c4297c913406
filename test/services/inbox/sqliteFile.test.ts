// The SQLite file of an inbox while another process holds its lock.
import { spawn } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  unlinkSync
} from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqliteFile from "../../../src/services/inbox/SqliteFile.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "sealwire-sqlite-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

/** Open descriptors of this process below a folder. */
const descriptorsIn = (below: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(below)
    } catch {
      // The descriptor of this listing.
      return false
    }
  }).length

const libsql = createRequire(import.meta.url).resolve("libsql")

/** Holds the write lock of a file in another process until its standard input ends. */
const holdLock = (file: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const code = `
        const Database = require(${JSON.stringify(libsql)})
        new Database(${JSON.stringify(file)}).exec("BEGIN IMMEDIATE")
        console.log("locked")
        process.stdin.resume().on("end", () => process.exit())`
      const child = spawn(process.execPath, ["-e", code], { stdio: ["pipe", "pipe", "inherit"] })
      await new Promise((done, fail) => {
        child.stdout.once("data", done)
        child.once("exit", () => fail(new Error("the other process does not hold the lock")))
      })
      return child
    }),
    (child) =>
      Effect.promise(
        () =>
          new Promise((done) => {
            child.once("exit", done)
            child.stdin.end()
          })
      )
  )

describe("a SQLite file that has lost its name", () => {
  const away = (file: string) => `${file}.away`
  it.scopedLive.each([
    ["deleted", (file: string) => unlinkSync(file)],
    ["moved", (file: string) => renameSync(file, away(file))],
    [
      "replaced",
      (file: string) => {
        renameSync(file, away(file))
        copyFileSync(away(file), file)
      }
    ]
  ] as const)("%s: takes nothing more, and says why", ([, lose]) =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "inbox.db")
      const connection = yield* SqliteFile.open(file)
      yield* connection.runSingle("CREATE TABLE t (a)")
      yield* connection.runSingle("INSERT INTO t VALUES (1)")
      lose(file)
      for (const statement of ["INSERT INTO t VALUES (2)", "SELECT a FROM t"])
        expect(yield* Effect.flip(connection.runSingle(statement))).toMatchObject({
          _tag: "InboxRefused",
          retry: true,
          reason: "its file was moved, replaced or deleted; put it back, or restart"
        })
      if (!existsSync(away(file))) return
      renameSync(away(file), file)
      yield* connection.runSingle("INSERT INTO t VALUES (3)")
      expect((yield* connection.runSingle("SELECT a FROM t")).map(({ a }) => a)).toEqual([1, 3])
    })
  )
})

describe.skipIf(!existsSync("/proc/self/fd"))("a locked SQLite file", () => {
  it.scopedLive("takes no further descriptor for each attempt", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const file = path.join(below, "inbox.db")
      const connection = yield* SqliteFile.open(file)
      yield* connection.runSingle("CREATE TABLE t (a)")
      const before = descriptorsIn(below)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* holdLock(file)
          // About seventy attempts.
          const refused = yield* Effect.flip(connection.runSingle("INSERT INTO t VALUES (1)"))
          expect(refused._tag).toBe("InboxRefused")
          expect(refused.reason).toContain("another process has locked the file")
          expect(descriptorsIn(below)).toBe(before)
          expect(yield* SqliteFile.tryLock(file)).toBe(false)
        })
      )
      // The same connection commits as soon as the file is free.
      yield* connection.runSingle("INSERT INTO t VALUES (2)")
      const second = yield* SqliteFile.open(file)
      const rows = yield* second.runSingle("SELECT a FROM t")
      expect(rows.map(({ a }) => a)).toEqual([2])
    })
  )

  it.scopedLive("keeps its connection after statements that fail", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const connection = yield* SqliteFile.open(path.join(below, "inbox.db"))
      yield* connection.runSingle("CREATE TABLE t (a UNIQUE)")
      yield* connection.runSingle("INSERT INTO t VALUES (?)", [1])
      const before = descriptorsIn(below)
      for (let round = 0; round < 20; round++) {
        yield* Effect.flip(connection.runSingle("INSERT INTO t VALUES (?)", [1]))
        yield* Effect.flip(
          connection.transaction((run) =>
            Effect.zipRight(run("INSERT INTO t VALUES (?)", [2]), Effect.fail("on purpose"))
          )
        )
      }
      expect(descriptorsIn(below)).toBe(before)
      yield* connection.runSingle("INSERT INTO t VALUES (?)", [3])
      const rows = yield* connection.runSingle("SELECT a FROM t")
      expect(rows.map(({ a }) => a)).toEqual([1, 3])
    })
  )
})
