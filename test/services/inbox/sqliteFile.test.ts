// The SQLite file of an inbox while another process holds its lock.
import { execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
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
    ],
    [
      "moved behind a symbolic link",
      (file: string) => {
        renameSync(file, away(file))
        symlinkSync(away(file), file)
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
          reason: "its file was moved, replaced or deleted; put it back, or restart what uses it"
        })
      if (!existsSync(away(file))) return
      rmSync(file, { force: true })
      renameSync(away(file), file)
      yield* connection.runSingle("INSERT INTO t VALUES (3)")
      expect((yield* connection.runSingle("SELECT a FROM t")).map(({ a }) => a)).toEqual([1, 3])
    })
  )
})

describe("the names of a SQLite file", () => {
  const opened = Effect.map(folder, (below) => path.join(below, "inbox.db")).pipe(
    Effect.bindTo("file"),
    Effect.bind("connection", ({ file }) => SqliteFile.open(file)),
    Effect.tap(({ connection }) => connection.runSingle("CREATE TABLE t (a)"))
  )

  it.scopedLive.each(["-wal", "-shm"])("are followed: %s", (suffix) =>
    Effect.gen(function* () {
      const { file, connection } = yield* opened
      renameSync(file + suffix, `${file}.away`)
      for (const put of [() => {}, () => writeFileSync(file + suffix, "", { mode: 0o600 })]) {
        put()
        expect(yield* Effect.flip(connection.runSingle("INSERT INTO t VALUES (1)"))).toMatchObject({
          retry: true,
          reason: `its ${suffix} file was moved, replaced or deleted; put it back, or restart what uses it`
        })
      }
      renameSync(`${file}.away`, file + suffix)
      yield* connection.runSingle("INSERT INTO t VALUES (2)")
      expect(yield* connection.runSingle("SELECT a FROM t")).toMatchObject([{ a: 2 }])
    })
  )

  it.scopedLive("are checked again before a commit", () =>
    Effect.gen(function* () {
      const { file, connection } = yield* opened
      const refused = yield* Effect.flip(
        connection.transaction((run) =>
          Effect.tap(run("INSERT INTO t VALUES (1)"), () => {
            renameSync(file, `${file}.away`)
            symlinkSync(`${file}.away`, file)
          })
        )
      )
      expect(refused.reason).toContain("its file was moved")
      renameSync(`${file}.away`, file)
      expect(yield* connection.runSingle("SELECT a FROM t")).toEqual([])
    })
  )

  it.scopedLive("are those behind a symbolic link, also when it leads elsewhere later", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const [real, link] = [path.join(below, "real.db"), path.join(below, "link.db")]
      symlinkSync(real, link)
      const connection = yield* SqliteFile.open(link)
      yield* connection.runSingle("CREATE TABLE t (a)")
      expect(readdirSync(below).sort()).toEqual([
        "link.db",
        "real.db",
        "real.db-shm",
        "real.db-wal"
      ])
      unlinkSync(link)
      symlinkSync(`${real}.other`, link)
      expect(
        (yield* Effect.flip(connection.runSingle("INSERT INTO t VALUES (1)"))).reason
      ).toContain("its file was moved")
    })
  )

  it.scopedLive("that cannot be looked up are a typed refusal", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const [real, link] = [path.join(below, "real"), path.join(below, "link")]
      mkdirSync(real)
      symlinkSync(real, link)
      const connection = yield* SqliteFile.open(path.join(link, "inbox.db"))
      yield* connection.runSingle("CREATE TABLE t (a)")
      // A name that is too long, and a link without end.
      for (const target of ["x".repeat(300), link]) {
        unlinkSync(link)
        symlinkSync(target, link)
        expect(yield* Effect.flip(connection.runSingle("INSERT INTO t VALUES (1)"))).toMatchObject({
          _tag: "InboxRefused",
          retry: true
        })
      }
    })
  )
})

describe("a SQLite file that others may read or change", () => {
  const failure = (file: string) =>
    Effect.scoped(Effect.flip(SqliteFile.open(file, { create: false }))).pipe(
      Effect.map(({ message }) => message)
    )
  const made = Effect.gen(function* () {
    const file = path.join(yield* folder, "inbox.db")
    yield* Effect.scoped(SqliteFile.open(file))
    return file
  })

  it.scopedLive.each([0o644, 0o660, 0o602])("is refused: mode %o", (mode) =>
    Effect.gen(function* () {
      const file = yield* made
      chmodSync(file, mode)
      expect(yield* failure(file)).toBe(
        `cannot open the inbox ${file}: others can read or change it (mode 0${mode.toString(8)}); try: chmod 600 ${file}`
      )
      chmodSync(file, 0o600)
      yield* SqliteFile.open(file)
    })
  )

  it.scopedLive.each(["-wal", "-shm"])("is refused for its companion: %s", (suffix) =>
    Effect.gen(function* () {
      const file = yield* made
      writeFileSync(file + suffix, "")
      chmodSync(file + suffix, 0o644)
      expect(yield* failure(file)).toBe(
        `cannot open the inbox ${file}: others can read or change its ${suffix} file (mode 0644); try: chmod 600 ${file}${suffix}`
      )
      unlinkSync(file + suffix)
      symlinkSync("/etc/passwd", file + suffix)
      expect(yield* failure(file)).toContain(`its ${suffix} file is not a regular file`)
    })
  )

  it.scopedLive("is refused when it is no regular file, and its lock too", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "inbox.db")
      execFileSync("mkfifo", ["-m", "600", file])
      expect(yield* failure(file)).toContain("it is not a regular file")
      const turn = `${file}.turn`
      writeFileSync(turn, "")
      chmodSync(turn, 0o666)
      const refused = yield* Effect.flip(Effect.scoped(SqliteFile.tryLock(turn)))
      expect(refused.message).toContain(`try: chmod 600 ${turn}`)
    })
  )

  it.scopedLive("gives its companions its mode", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "inbox.db")
      writeFileSync(file, "", { mode: 0o600 })
      const connection = yield* SqliteFile.open(file)
      yield* connection.runSingle("CREATE TABLE t (a)")
      for (const suffix of ["", "-wal", "-shm"])
        expect(statSync(file + suffix).mode & 0o777).toBe(0o600)
    })
  )

  // Only root gives files away.
  describe.runIf(process.geteuid?.() === 0)("because another user owns it", () => {
    it.scopedLive("is refused", () =>
      Effect.gen(function* () {
        const file = yield* made
        chownSync(file, 12_345, 12_345)
        expect(yield* failure(file)).toBe(
          `cannot open the inbox ${file}: it belongs to another user (uid 12345); run as that user, or: chown 0 ${file}`
        )
      })
    )
  })
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
