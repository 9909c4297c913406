// An inbox in the application's own database: a message is handled in the transaction that stores
// what the application makes of it. INBOX.md section 9.
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Hex from "../../../bytes/Hex.ts"
import type { IncomingMessage } from "../../messages/MessageHandler.ts"
import { MessageRefused } from "../../messages/MessageService.ts"
import type { RemotePeer } from "../../Service.ts"
import { contextOf, type Inbox, type InboxMessages } from "../Inbox.ts"
import type { InboxRefused, InboxUnusable } from "../InboxErrors.ts"
import { bytesOf, make, rowsOf, storing, type NewRow, type TableStore } from "../InboxTable.ts"
import { limits } from "../limits.ts"
import { inboxTables } from "../migrate.ts"
import { HandlingFailed } from "../Redelivery.ts"
import type { StoredMessage } from "../StoredMessage.ts"
import { LeaseLost, work, type WorkOptions } from "../Worker.ts"
import {
  isInTransaction,
  isSqlError,
  migrateTables,
  open,
  requireMigrated,
  statements,
  type DialectName,
  type LayerOptions,
  type SqlDatabase,
  type TableOptions
} from "./SqlDatabase.ts"

/** The parts of an inbox in the application's database. */
export interface SqlInboxParts {
  readonly database: SqlDatabase
  readonly store: TableStore
}

/** Handles one message in a transaction. */
export type HandleInTransaction<R> = (
  message: StoredMessage
) => Effect.Effect<void, HandlingFailed | SqlError, R>

/** A handler of a message service. */
export type ReceiveMessages<E, R> = (
  messages: ReadonlyArray<IncomingMessage>,
  sender: RemotePeer
) => Effect.Effect<void, MessageRefused | E, R>

/**
 * An inbox in tables of the application's database, PostgreSQL or SQLite, through its own SqlClient.
 * In a transaction of the application, every operation of `Inbox` and `InboxMessages` is a part of
 * it.
 */
export class SqlInbox extends Context.Tag("sealwire/services/inbox/sql/SqlInbox")<
  SqlInbox,
  SqlInboxParts
>() {
  /** Provides the inbox, and migrates its tables when it is built. */
  static readonly layer: Layer.Layer<
    SqlInbox | Inbox | InboxMessages,
    InboxUnusable | InboxRefused,
    SqlClient
  > = Layer.suspend(() => SqlInbox.layerWith({}))

  /** Provides the inbox, with a prefix of your own or without migrating its tables. */
  static readonly layerWith = (
    options: LayerOptions
  ): Layer.Layer<SqlInbox | Inbox | InboxMessages, InboxUnusable | InboxRefused, SqlClient> =>
    Layer.scopedContext(
      Effect.gen(function* () {
        const database = yield* open(options)
        yield* options.migrate === false
          ? requireMigrated(database, inboxTables, "SqlInbox.migrate")
          : migrateTables(database, inboxTables)
        const store = yield* make(database.dialect, database.run)
        const insert = storing(database.dialect, database.run)
        const joining: TableStore = {
          ...store,
          // Rows that share a transaction would be committed, or not, by somebody else.
          handle: (messages, sender) =>
            Effect.if(isInTransaction, {
              onTrue: () => inParts(rowsOf(messages, sender), insert),
              onFalse: () => store.handle(messages, sender)
            })
        }
        return Context.add(contextOf(joining), SqlInbox, { database, store: joining })
      })
    )

  /**
   * Migrates the tables to the version of this package, and does nothing where they have it: a
   * migration of yours.
   */
  static readonly migrate: Effect.Effect<void, InboxUnusable | InboxRefused, SqlClient> =
    Effect.suspend(() => SqlInbox.migrateWith({}))

  /** Migrates tables with a prefix of your own. */
  static readonly migrateWith = (
    options: TableOptions
  ): Effect.Effect<void, InboxUnusable | InboxRefused, SqlClient> =>
    Effect.flatMap(open(options), (database) => migrateTables(database, inboxTables))

  /** Returns the statements of each version of the tables, for migrations that are files of SQL. */
  static readonly migrations = (
    dialect: DialectName,
    options: TableOptions = {}
  ): ReadonlyArray<ReadonlyArray<string>> => statements(dialect, inboxTables, options)

  /**
   * Handles pending messages as `Inbox.work` does, each in one transaction with its acknowledgement:
   * what the handler stores is committed and the message is done, or neither. A statement that fails
   * is a failed attempt, except when it met another transaction or an outage: then the attempt does
   * not count. When the lease is lost, the transaction is rolled back.
   *
   * @example
   * yield* SqlInbox.consume(
   *   ({ text }) => sql`INSERT INTO orders ${sql.insert(parse(text))}`,
   *   { wait: true }
   * )
   */
  static readonly consume = <R>(
    handle: HandleInTransaction<R>,
    options: WorkOptions = {}
  ): Effect.Effect<void, InboxRefused, SqlInbox | R> =>
    Effect.flatMap(SqlInbox, ({ database, store }) => {
      const { name, transaction, handlingFailed } = database
      const millis = Duration.toMillis(options.lease ?? limits.lease)
      /** Messages whose transaction holds them: no other consumer can lease them any more. */
      const held = new WeakSet<StoredMessage>()
      const hold = (stored: StoredMessage) => Effect.sync(() => void held.add(stored))
      const orLost = (owned: boolean) => (owned ? Effect.void : new LeaseLost())
      const messages = {
        ...store,
        // A renewal from outside would wait for the transaction.
        renew: (stored: StoredMessage, duration: number) =>
          held.has(stored)
            ? Effect.succeed(true)
            : Effect.map(store.renew(stored, duration), (owned) => owned || held.has(stored)),
        acknowledge: () => Effect.void
      }
      // SQLite has one writer: a transaction that is one from its first statement holds all.
      const begin = (stored: StoredMessage) =>
        name === "sqlite"
          ? Effect.zipRight(hold(stored), Effect.flatMap(store.renew(stored, millis), orLost))
          : Effect.void
      return work(
        messages,
        (stored) =>
          begin(stored).pipe(
            Effect.zipRight(handle(stored)),
            Effect.zipRight(hold(stored)),
            Effect.zipRight(Effect.flatMap(store.settle(stored), orLost)),
            transaction,
            Effect.catchTags({
              SqlError: handlingFailed,
              InboxRefused: ({ reason, retry }) =>
                new HandlingFailed({ reason, verdict: retry ? "later" : "failed" })
            })
          ),
        options
      )
    })

  /**
   * Returns the handler of a message service that handles each message once, in one transaction with
   * its id: the receipt follows the commit. The handler gets the messages that are new, in order,
   * and is not called when none is. A statement that fails refuses the messages, for now if it met
   * another transaction or an outage; any other error rolls back, too, and ends the session.
   *
   * @example
   * MessageService.service(
   *   SqlInbox.receive((messages) => sql`INSERT INTO orders ${sql.insert(messages.map(parse))}`)
   * )
   */
  static readonly receive =
    <E = never, R = never>(
      handle: (
        messages: ReadonlyArray<IncomingMessage>,
        sender: RemotePeer
      ) => Effect.Effect<unknown, E | SqlError, R>
    ): ReceiveMessages<Exclude<E, SqlError>, R | SqlInbox> =>
    (messages, sender) =>
      Effect.flatMap(SqlInbox, ({ database: { dialect, run, transaction, handlingFailed } }) =>
        Effect.gen(function* () {
          const rows = yield* inParts(
            rowsOf(messages, sender),
            storing(dialect, run, { done: true })
          )
          const fresh = new Set(rows.map(({ id }) => Hex.encode(bytesOf(id))))
          const added = messages.filter(({ id }) => fresh.delete(Hex.encode(id)))
          if (added.length === 0) return
          yield* handle(added, sender)
          // A handler that ignores a failed statement would be rolled back by COMMIT, in silence.
          yield* run("SELECT 1")
        }).pipe(
          transaction,
          Effect.mapError((error) =>
            isSqlError(error)
              ? refusal(handlingFailed(error))
              : isInboxRefused(error)
                ? new MessageRefused(error)
                : (error as Exclude<E, SqlError>)
          )
        )
      )
}

const isInboxRefused = (error: unknown): error is InboxRefused =>
  Predicate.isTagged(error, "InboxRefused")

const refusal = ({ reason, verdict }: HandlingFailed): MessageRefused =>
  new MessageRefused({ reason, retry: verdict === "later" })

/** Stores rows in statements of bounded size. */
const inParts = (rows: ReadonlyArray<NewRow>, insert: ReturnType<typeof storing>) =>
  Effect.map(
    Effect.forEach(
      Chunk.chunksOf(Chunk.unsafeFromArray(rows), limits.transactionMessages),
      (some) => insert(Chunk.toReadonlyArray(some))
    ),
    (parts) => parts.flat()
  )
