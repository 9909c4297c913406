// A SQLite file with the table of messages: the connection that inbox and outbox have to it. INBOX.md.
import { closeSync, openSync } from "node:fs"
import path from "node:path"
import { pathToFileURL } from "node:url"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as LibsqlClient from "@effect/sql-libsql/LibsqlClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import * as SqlInbox from "./SqlInbox.ts"

export const dialect: SqlInbox.Dialect = {
  place: () => "?",
  sequence: "INTEGER PRIMARY KEY AUTOINCREMENT",
  integer: "INTEGER",
  bytes: "BLOB",
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  // One writer at a time is all there ever is.
  skipLocked: ""
}

/**
 * One connection, whose calls run on this thread: a transaction of `limits.transactionMessages` keeps it for some milliseconds, fsync
 * included. The transactions of @effect/sql-libsql are not used: it opens a new connection after each, without these settings.
 */
export const open = (
  file: string,
  { create = true }: { readonly create?: boolean } = {}
): Effect.Effect<Connection, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.gen(function* () {
    yield* touch(file, create)
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => new Connection(file)),
      // The log goes into the file: who copies that has everything.
      (connection) =>
        Effect.zipRight(
          Effect.ignore(connection.outside("PRAGMA wal_checkpoint(TRUNCATE)")),
          connection.close
        )
    )
    yield* Effect.mapError(
      connection.transaction((run) => SqlInbox.migrate(file, dialect, run)),
      (error) =>
        error._tag === "InboxRefused" && !error.retry
          ? new InboxUnusable({ inbox: file, reason: error.reason })
          : error
    )
    return connection
  })

/**
 * The connection, which is opened anew after a failure: libsql leaves a statement that found the file locked unfinished, and while there
 * is one nothing is committed. An explicit COMMIT says so; a statement that commits by itself would look as if it had.
 */
export class Connection {
  readonly #file: string
  /** One transaction at a time: between its statements others would slip into it. */
  readonly #one = Effect.unsafeMakeSemaphore(1)
  #open: { readonly run: SqlInbox.Run; readonly scope: Scope.CloseableScope } | undefined

  constructor(file: string) {
    this.#file = file
  }

  /** Nothing has happened when it fails; one that finds the file locked is tried again. */
  transaction<A, E>(
    use: (run: SqlInbox.Run) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | InboxRefused> {
    const once = Effect.gen(this, function* () {
      const run = (this.#open ??= yield* opened(this.#file, durable)).run
      yield* run("BEGIN IMMEDIATE")
      const result = yield* use(run)
      yield* run("COMMIT")
      return result
    }).pipe(
      // A connection that libsql has closed may keep the lock for as long as its statements live.
      Effect.onError(() => Effect.zipRight(Effect.ignore(this.#run("ROLLBACK")), this.close)),
      Effect.uninterruptible,
      this.#one.withPermits(1)
    )
    return Effect.retry(once, { while: isLocked, schedule: patience })
  }

  /** One statement, which is a transaction of its own. */
  readonly single: SqlInbox.Run = (statement, parameters) =>
    this.transaction((run) => run(statement, parameters))

  /** Runs what cannot be in a transaction. */
  outside(statement: string): Effect.Effect<unknown, InboxRefused> {
    return this.#one.withPermits(1)(this.#run(statement))
  }

  #run(statement: string): Effect.Effect<unknown, InboxRefused> {
    return Effect.suspend(() =>
      this.#open === undefined ? Effect.void : this.#open.run(statement)
    )
  }

  /** What was not committed is as if it had never been. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const open = this.#open
      this.#open = undefined
      return open === undefined ? Effect.void : Scope.close(open.scope, Exit.void)
    })
  }
}

/**
 * True when it was free: until the scope ends no other process has it, and the kernel gives it back when this one is killed. The file
 * stays empty, and nothing is written: a full disk is no hindrance.
 */
export const hold = (
  file: string
): Effect.Effect<boolean, InboxUnusable | InboxRefused, Scope.Scope> =>
  touch(file, true).pipe(
    Effect.zipRight(opened(file, ["busy_timeout = 0", "journal_mode = MEMORY"])),
    Effect.tap(({ run, scope }) =>
      Effect.onError(run("BEGIN EXCLUSIVE"), () => Scope.close(scope, Exit.void))
    ),
    Effect.tap(({ run, scope }) =>
      Effect.addFinalizer(() =>
        Effect.zipRight(Effect.ignore(run("ROLLBACK")), Scope.close(scope, Exit.void))
      )
    ),
    Effect.as(true),
    Effect.catchIf(isLocked, () => Effect.succeed(false)),
    Effect.uninterruptible
  )

// The receipt follows the fsync: with FULL each commit waits until the log is on the disk.
const durable = [`busy_timeout = ${limits.busyMillis}`, "journal_mode = WAL", "synchronous = FULL"]

const opened = (file: string, settings: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const sql = yield* LibsqlClient.make({ url: pathToFileURL(path.resolve(file)).href }).pipe(
      Effect.provide(Reactivity.layer),
      Scope.extend(scope),
      Effect.catchAllDefect((cause) => refusalOf(codeOf(cause)))
    )
    const run: SqlInbox.Run = (statement, parameters = []) =>
      Effect.mapError(sql.unsafe<Record<string, unknown>>(statement, parameters), ({ cause }) =>
        refusalOf(codeOf(cause))
      )
    yield* Effect.forEach(settings, (setting) => run(`PRAGMA ${setting}`), { discard: true }).pipe(
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    return { run, scope }
  })

const patience = Schedule.intersect(
  Schedule.spaced(limits.lockedPause),
  Schedule.recurUpTo(limits.lockedMillis)
)

/** The file is this user's alone from its first moment; SQLite's other files get the same mode. */
const touch = (file: string, create: boolean): Effect.Effect<void, InboxUnusable> =>
  Effect.try({
    try: () => closeSync(openSync(file, create ? "a" : "r+", 0o600)),
    catch: (cause) => {
      const code = codeOf(cause)
      return new InboxUnusable({
        inbox: file,
        reason:
          code === "ENOENT" && !create
            ? "there is none; sealwire serve --inbox makes it"
            : unusable(code)
      })
    }
  })

const codeOf = (cause: unknown): string => {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" ? code : "unknown error"
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "its folder does not exist",
  ENOTDIR: "its folder is none",
  EISDIR: "it is a folder",
  EACCES: "this user may not write it",
  EROFS: "it lies on a disk that is read-only",
  ENOSPC: "the disk is full",
  SQLITE_NOTADB: "it is no SQLite database",
  SQLITE_READONLY: "this user may not write it",
  SQLITE_CORRUPT: "the file is damaged"
}

const unusable = (code: string): string => reasons[code] ?? code

const locked = "another program keeps the file to itself"
const isLocked = (error: unknown): boolean =>
  error instanceof InboxRefused && error.reason.startsWith(locked)

/** What another attempt may find changed. */
const passing: ReadonlyArray<readonly [code: string, reason: string]> = [
  ["SQLITE_FULL", "the disk is full"],
  ["SQLITE_BUSY", locked],
  ["SQLITE_IOERR", "the disk cannot be written"],
  ["SQLITE_CANTOPEN", "the file cannot be opened"],
  ["SQLITE_NOMEM", "there is no memory left"]
]

const refusalOf = (code: string): InboxRefused => {
  const found = passing.find(([begin]) => code.startsWith(begin))
  if (found === undefined) return new InboxRefused({ reason: unusable(code), retry: false })
  return new InboxRefused({
    reason: found[0] === code ? found[1] : `${found[1]} (${code})`,
    retry: true
  })
}
