// The SQLite file of an inbox or outbox: opening, transactions, the lock. INBOX.md.
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
  placeholder: () => "?",
  sequence: "INTEGER PRIMARY KEY AUTOINCREMENT",
  integer: "INTEGER",
  bytes: "BLOB",
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  // SQLite has one writer at a time.
  skipLocked: ""
}

/**
 * Opens the file with one connection. Its calls block this thread: a transaction of
 * `limits.transactionMessages` takes some milliseconds, fsync included. The transactions of
 * @effect/sql-libsql are not used, because it opens a new connection after each, without these
 * settings.
 */
export const open = (
  file: string,
  { create = true }: { readonly create?: boolean } = {}
): Effect.Effect<Connection, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.gen(function* () {
    yield* createFile(file, create)
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => new Connection(file)),
      // Moves the log into the file, so that a copy of the file is complete.
      (connection) =>
        Effect.zipRight(
          Effect.ignore(connection.runOutsideTransaction("PRAGMA wal_checkpoint(TRUNCATE)")),
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
 * The connection to the file, reopened after a failure: libsql 0.4.7 leaves a statement unfinished
 * that found the file locked, and commits nothing on that connection while it exists. An explicit
 * COMMIT reports that; a statement in autocommit mode would appear to succeed.
 */
export class Connection {
  readonly #file: string
  /** Serializes transactions: statements of others would otherwise join the open one. */
  readonly #mutex = Effect.unsafeMakeSemaphore(1)
  #session: Session | undefined

  constructor(file: string) {
    this.#file = file
  }

  /**
   * Runs a transaction, which is rolled back when it fails. It is retried while another process
   * holds the lock.
   */
  transaction<A, E>(
    use: (run: SqlInbox.Run) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | InboxRefused> {
    const attempt = Effect.gen(this, function* () {
      const { run, probe } = (this.#session ??= yield* connect(this.#file, durable))
      yield* Effect.tapError(probe("BEGIN IMMEDIATE"), (error) =>
        isLocked(error) ? Effect.void : this.close
      )
      return yield* run("BEGIN IMMEDIATE").pipe(
        Effect.zipRight(use(run)),
        Effect.zipLeft(run("COMMIT")),
        // libsql keeps the lock of a closed connection as long as one of its statements exists.
        Effect.onError(() => Effect.zipRight(Effect.ignore(run("ROLLBACK")), this.close))
      )
    }).pipe(Effect.uninterruptible, this.#mutex.withPermits(1))
    return Effect.retry(attempt, { while: isLocked, schedule: lockRetries })
  }

  /** Runs one statement as its own transaction. */
  readonly runSingle: SqlInbox.Run = (statement, parameters) =>
    this.transaction((run) => run(statement, parameters))

  /** Runs a statement that is not allowed in a transaction. */
  runOutsideTransaction(statement: string): Effect.Effect<unknown, InboxRefused> {
    return this.#mutex.withPermits(1)(this.#run(statement))
  }

  #run(statement: string): Effect.Effect<unknown, InboxRefused> {
    return Effect.suspend(() =>
      this.#session === undefined ? Effect.void : this.#session.run(statement)
    )
  }

  /** Closes the connection. Uncommitted changes are rolled back. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const session = this.#session
      this.#session = undefined
      return session === undefined ? Effect.void : Scope.close(session.scope, Exit.void)
    })
  }
}

/**
 * Takes a lock for the rest of the scope; returns false when another process holds it. The kernel
 * releases the lock of a killed process. The file stays empty and nothing is written, so a full
 * disk does not matter.
 */
export const tryLock = (
  file: string
): Effect.Effect<boolean, InboxUnusable | InboxRefused, Scope.Scope> =>
  createFile(file, true).pipe(
    Effect.zipRight(connect(file, ["busy_timeout = 0", "journal_mode = MEMORY"])),
    Effect.tap(({ run, probe, scope }) =>
      Effect.onError(Effect.zipRight(probe("BEGIN EXCLUSIVE"), run("BEGIN EXCLUSIVE")), () =>
        Scope.close(scope, Exit.void)
      )
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

// Receipts follow the fsync: with synchronous = FULL each commit waits until the log is on the
// disk. With secure_delete SQLite overwrites a deleted text with zeros; it would only mark its
// place as free otherwise.
const durable = [
  `busy_timeout = ${limits.busyMillis}`,
  "journal_mode = WAL",
  "synchronous = FULL",
  "secure_delete = ON"
]

interface Session {
  readonly run: SqlInbox.Run
  /**
   * Begins a transaction and rolls it back. Fails when the file is locked, and leaves nothing
   * behind: a statement of `run` would wait unfinished for the garbage collector, so that every
   * attempt needed a new connection while the old ones kept their descriptors.
   */
  readonly probe: (begin: string) => Effect.Effect<void, InboxRefused>
  readonly scope: Scope.CloseableScope
}

/** The client of libsql, which a LibsqlClient has and does not declare. */
interface Sdk {
  /** Finishes each statement, and rolls back a transaction that the last one leaves open. */
  readonly sdk: { readonly executeMultiple: (statements: string) => Promise<void> }
}

const connect = (file: string, settings: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const sql = yield* LibsqlClient.make({ url: pathToFileURL(path.resolve(file)).href }).pipe(
      Effect.provide(Reactivity.layer),
      Scope.extend(scope),
      Effect.catchAllDefect((cause) => refused(codeOf(cause)))
    )
    const run: SqlInbox.Run = (statement, parameters = []) =>
      Effect.mapError(sql.unsafe<Record<string, unknown>>(statement, parameters), ({ cause }) =>
        refused(codeOf(cause))
      )
    const { sdk } = sql as typeof sql & Sdk
    const probe = (begin: string) =>
      Effect.tryPromise({
        try: () => sdk.executeMultiple(begin),
        catch: (cause) => refused(codeOf(cause))
      })
    yield* Effect.forEach(settings, (setting) => run(`PRAGMA ${setting}`), { discard: true }).pipe(
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    return { run, probe, scope } satisfies Session
  })

const lockRetries = Schedule.intersect(
  Schedule.spaced(limits.lockRetryInterval),
  Schedule.recurUpTo(limits.lockTimeoutMillis)
)

/**
 * Creates the file with mode 0600 before SQLite opens it. SQLite gives its other files the same
 * mode.
 */
const createFile = (file: string, create: boolean): Effect.Effect<void, InboxUnusable> =>
  Effect.try({
    try: () => closeSync(openSync(file, create ? "a" : "r+", 0o600)),
    catch: (cause) => {
      const code = codeOf(cause)
      return new InboxUnusable({
        inbox: file,
        reason:
          code === "ENOENT" && !create
            ? "no such file; the server that stores messages in it creates it"
            : reasonOf(code)
      })
    }
  })

const codeOf = (cause: unknown): string => {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" ? code : "unknown error"
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "its directory does not exist",
  ENOTDIR: "its path leads through a file that is not a directory",
  EISDIR: "it is a directory",
  EACCES: "permission denied: this user may not write it",
  EROFS: "its file system is read-only",
  ENOSPC: "the disk is full",
  SQLITE_NOTADB: "it is not a SQLite database",
  SQLITE_READONLY: "permission denied: this user may not write it",
  SQLITE_CORRUPT: "the database file is damaged"
}

const reasonOf = (code: string): string => reasons[code] ?? code

const locked = "another process has locked the file"
const isLocked = (error: unknown): boolean =>
  error instanceof InboxRefused && error.reason.startsWith(locked)

/** Errors that another attempt may not meet. */
const transient: ReadonlyArray<readonly [code: string, reason: string]> = [
  ["SQLITE_FULL", "the disk is full"],
  ["SQLITE_BUSY", locked],
  ["SQLITE_IOERR", "writing to the disk failed"],
  ["SQLITE_CANTOPEN", "opening the file failed"],
  ["SQLITE_NOMEM", "out of memory"]
]

const refused = (code: string): InboxRefused => {
  const found = transient.find(([begin]) => code.startsWith(begin))
  if (found === undefined) return new InboxRefused({ reason: reasonOf(code), retry: false })
  return new InboxRefused({
    reason: found[0] === code ? found[1] : `${found[1]} (${code})`,
    retry: true
  })
}
