// The SQLite file of an inbox or outbox: opening, transactions, the lock. INBOX.md.
import { statfsSync, statSync } from "node:fs"
import path from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import Database from "libsql"
import { sqlite } from "./dialects.ts"
import { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import * as InboxTable from "./InboxTable.ts"
import { limits } from "./limits.ts"
import { checking, codeOf, full, isFull, isLocked, reasonOf, refused } from "./SqliteErrors.ts"
import { SqliteNames } from "./SqliteNames.ts"
import { migrate } from "./migrate.ts"
import type { MessageStore } from "./StoredMessage.ts"

/**
 * Returns the store of an inbox or outbox in an open file. With little space on its disk it leases
 * and acknowledges single messages, for which the log needs least. `explain` changes its errors.
 */
export const makeStore = (
  connection: Connection,
  explain: (refused: InboxRefused) => InboxRefused = (refused) => refused
): Effect.Effect<MessageStore, never, Scope.Scope> => {
  const { isLow } = connection
  const run: InboxTable.Run = (...statement) =>
    Effect.mapError(connection.runSingle(...statement), explain)
  const requireRoom = (bytes: number) => Effect.mapError(connection.requireRoom(bytes), explain)
  return Effect.map(InboxTable.make(sqlite, run, requireRoom), (store) => ({
    ...store,
    lease: (request) =>
      Effect.flatMap(isLow, (low) => store.lease(low ? { ...request, count: 1 } : request)),
    acknowledge: (sequences) =>
      Effect.flatMap(isLow, (low) =>
        low
          ? Effect.forEach(sequences, (one) => store.acknowledge([one]), { discard: true })
          : store.acknowledge(sequences)
      )
  }))
}

/**
 * Opens the file with one connection. Its calls block this thread: a transaction of
 * `limits.transactionMessages` takes some milliseconds, fsync included.
 */
export const open = (
  file: string,
  { create = true }: { readonly create?: boolean } = {}
): Effect.Effect<Connection, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const names = yield* openNames(file, create)
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => new Connection(names)),
      // Moves the log into the file, so that a copy of the file is complete.
      (connection) =>
        Effect.zipRight(
          Effect.ignore(connection.runOutsideTransaction("PRAGMA wal_checkpoint(TRUNCATE)")),
          connection.close
        )
    )
    yield* Effect.mapError(
      connection.transaction((run) => migrate(file, sqlite, run)),
      (error) =>
        error._tag === "InboxRefused" && !error.retry
          ? new InboxUnusable({ inbox: file, reason: error.reason })
          : error
    )
    return connection
  })

/**
 * The connection to the file, reopened when a transaction cannot be rolled back: not after every
 * failure, because libsql keeps the descriptors of a closed connection until the garbage collector
 * has finished its statements.
 */
export class Connection {
  readonly #names: SqliteNames
  /** Serializes transactions: statements of others would otherwise join the open one. */
  readonly #mutex = Effect.unsafeMakeSemaphore(1)
  #session: Session | undefined

  constructor(names: SqliteNames) {
    this.#names = names
  }

  /**
   * Runs a transaction, which is rolled back when it fails. It is retried while another process
   * holds the lock.
   */
  transaction<A, E>(
    use: (run: InboxTable.Run) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | InboxRefused> {
    const attempt = Effect.gen(this, function* () {
      yield* this.#checkNames
      const { run, rollBack } = (this.#session ??= yield* connect(this.#names.path, durable))
      yield* run("BEGIN IMMEDIATE")
      return yield* this.#followCompanions.pipe(
        Effect.zipRight(use(run)),
        Effect.zipLeft(this.#checkNames),
        Effect.zipLeft(run("COMMIT")),
        Effect.onError(() =>
          Effect.if(rollBack, { onTrue: () => Effect.void, onFalse: () => this.close })
        )
      )
    }).pipe(Effect.uninterruptible, this.#mutex.withPermits(1))
    const complete = Effect.retry(attempt, { while: isLocked, schedule: lockRetries })
    // A log that is moved into the file is used again from its beginning, and while there is space
    // to move it, a full disk can be emptied.
    return Effect.suspend(() =>
      this.#missingBytes(0) > 0 ? Effect.zipRight(this.#moveLog, complete) : complete
    ).pipe(Effect.catchIf(isFull, () => Effect.fail(this.#fullDisk(0))))
  }

  /** Runs one statement as its own transaction. */
  readonly runSingle: InboxTable.Run = (statement, parameters) =>
    this.transaction((run) => run(statement, parameters))

  /**
   * Fails if a transaction of this many bytes could fill the disk: what consumers need to empty the
   * file again is left, which is the space to move the log into the file, and `spareBytes`.
   */
  readonly requireRoom = (bytes: number): Effect.Effect<void, InboxRefused> =>
    Effect.suspend(() => {
      if (this.#missingBytes(bytes) <= 0) return Effect.void
      return Effect.flatMap(this.#moveLog, (isMoved) =>
        this.#missingBytes(bytes) - (isMoved ? this.#logBytes : 0) <= 0
          ? Effect.void
          : this.#fullDisk(bytes)
      )
    })

  /** True if a lease of many messages could fill the disk. */
  readonly isLow: Effect.Effect<boolean> = Effect.sync(
    () => this.#missingBytes(limits.leaseBytes) > 0
  )

  /** Moves the log into the file; false if that was not possible, or not all of it. */
  get #moveLog(): Effect.Effect<boolean> {
    return this.runOutsideTransaction("PRAGMA wal_checkpoint(RESTART)").pipe(
      Effect.map(([row]) => row !== undefined && row.busy === 0),
      Effect.orElseSucceed(() => false)
    )
  }

  get #logBytes(): number {
    return statSync(`${this.#names.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /** The space that the disk lacks for a transaction of this many bytes; 0 if nobody can tell. */
  #missingBytes(bytes: number): number {
    try {
      const { bavail, bsize } = statfsSync(path.dirname(this.#names.path))
      // Once in the log and once in the file, and as much again in the log when they are leased.
      return this.#logBytes + 3 * bytes + limits.spareBytes - bavail * bsize
    } catch {
      return 0
    }
  }

  #fullDisk(bytes: number): InboxRefused {
    const kibibytes = Math.max(1, Math.ceil(this.#missingBytes(bytes) / 1024))
    return new InboxRefused({
      reason: `${full}: free ${kibibytes.toLocaleString("en-US")} KiB on it`,
      retry: true
    })
  }

  /** Fails if the file has lost its name: nobody would find a message that is stored in it. */
  get #checkNames(): Effect.Effect<void, InboxRefused> {
    return checking(() => this.#names.verify())
  }

  /** SQLite has opened the log when a transaction has begun. */
  get #followCompanions(): Effect.Effect<void, InboxRefused> {
    return checking(() => this.#names.followCompanions())
  }

  /** Runs a statement that is not allowed in a transaction. */
  runOutsideTransaction(statement: string): ReturnType<InboxTable.Run> {
    return this.#mutex.withPermits(1)(
      Effect.suspend(() =>
        this.#session === undefined ? Effect.succeed([]) : this.#session.run(statement)
      )
    )
  }

  /** Closes the connection. Uncommitted changes are rolled back. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const session = this.#session
      this.#session = undefined
      this.#names.forgetCompanions()
      return session === undefined ? Effect.void : session.close
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
  openNames(file, true).pipe(
    Effect.flatMap((names) => connect(names.path, ["busy_timeout = 0", "journal_mode = MEMORY"])),
    Effect.tap(({ run, close }) => Effect.onError(run("BEGIN EXCLUSIVE"), () => close)),
    Effect.tap(({ rollBack, close }) =>
      Effect.addFinalizer(() => Effect.zipRight(rollBack, close))
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
  readonly run: InboxTable.Run
  /** Rolls back the transaction, if there is one. False if it is still open. */
  readonly rollBack: Effect.Effect<boolean>
  readonly close: Effect.Effect<void>
}

const connect = (
  file: string,
  settings: ReadonlyArray<string>
): Effect.Effect<Session, InboxRefused> => {
  const attempt = <A>(use: () => A) =>
    Effect.try({ try: use, catch: (cause) => refused(codeOf(cause)) })
  return Effect.flatMap(
    attempt(() => new Database(file)),
    (database) => {
      const close = Effect.ignore(attempt(() => database.close()))
      const run: InboxTable.Run = (statement, parameters) =>
        attempt(() => rowsOf(database, statement, parameters))
      const rollBack = Effect.ignore(run("ROLLBACK")).pipe(
        Effect.zipRight(Effect.sync(() => !database.inTransaction))
      )
      return Effect.forEach(settings, (setting) => run(`PRAGMA ${setting}`), {
        discard: true
      }).pipe(
        Effect.as({ run, rollBack, close }),
        Effect.onError(() => close)
      )
    }
  )
}

/**
 * `exec` finishes its statement in any case. A prepared one that found the file locked would wait
 * unfinished for the garbage collector, and nothing more would be committed on the connection.
 */
const rowsOf = (
  database: Database.Database,
  statement: string,
  parameters: ReadonlyArray<unknown> = []
): ReadonlyArray<Record<string, unknown>> => {
  if (transactionWords.test(statement)) {
    database.exec(statement)
    return []
  }
  const prepared = database.prepare(statement)
  const values = parameters.map((value) =>
    value instanceof Uint8Array ? Buffer.from(value) : value
  )
  if (prepared.reader) return prepared.all(values) as ReadonlyArray<Record<string, unknown>>
  prepared.run(values)
  return []
}

const transactionWords = /^(BEGIN|COMMIT|ROLLBACK)\b/

const lockRetries = Schedule.intersect(
  Schedule.spaced(limits.lockRetryInterval),
  Schedule.recurUpTo(limits.lockTimeoutMillis)
)

/** Opens and checks the file before SQLite does. */
const openNames = (file: string, create: boolean): Effect.Effect<SqliteNames, InboxUnusable> =>
  Effect.try({
    try: () => SqliteNames.open(file, create),
    catch: (cause) => {
      const isMissing = codeOf(cause) === "ENOENT" && !create
      return new InboxUnusable({
        inbox: file,
        reason: isMissing
          ? "no such file; the server that stores messages in it creates it"
          : reasonOf(cause)
      })
    }
  })
