// An outbox in the application's own database: a message is stored in the transaction of what it
// tells, and sent afterwards. INBOX.md section 9.
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { HandshakeFailed, ChannelError } from "../../../channel/ChannelErrors.ts"
import type { ConnectFailed } from "../../../transports/TransportErrors.ts"
import type { Transport } from "../../../transports/Transport.ts"
import type { DialOptions } from "../../Dial.ts"
import type { Undelivered } from "../../messages/Delivery.ts"
import * as MessageClient from "../../messages/MessageClient.ts"
import type { MessageTooLong, NotTaken } from "../../messages/MessageErrors.ts"
import { makeId } from "../../messages/MessageFrame.ts"
import type { Failure, OnPause, Retry } from "../../Retry.ts"
import type { InboxRefused, InboxUnusable } from "../InboxErrors.ts"
import type { OutboxFailed } from "../OutboxErrors.ts"
import * as delivering from "./delivering.ts"
import { limits, outboxTables, statementsOf } from "./outboxTables.ts"
import {
  isInTransaction,
  migrateTables,
  open,
  requireMigrated,
  statements,
  type DialectName,
  type LayerOptions,
  type SqlDatabase,
  type TableOptions
} from "./SqlDatabase.ts"

/** Which of the outboxes in the tables: each has its messages, its order and its server. */
export interface OutboxName {
  /** Default: `default`. */
  readonly outbox?: string
}

/** The server of an outbox, and how long to try. */
export interface DeliverOptions<E = never, R = never> extends DialOptions<E, R>, OutboxName {
  /** Waits for new messages when none is pending, instead of ending. Default: false. */
  readonly wait?: boolean
  /** Default: no limit with `wait`; 30 seconds without progress otherwise. */
  readonly retry?: Retry
  /** Called before each pause after a session that failed. */
  readonly onPause?: OnPause
}

/**
 * Outboxes in tables of the application's database, PostgreSQL or SQLite, through its own SqlClient.
 */
export class SqlOutbox extends Context.Tag("sealwire/services/inbox/sql/SqlOutbox")<
  SqlOutbox,
  SqlDatabase
>() {
  /** The limits of an outbox. */
  static readonly limits = limits

  /** Provides the outboxes, and migrates their tables when it is built. */
  static readonly layer: Layer.Layer<SqlOutbox, InboxUnusable | InboxRefused, SqlClient> =
    Layer.suspend(() => SqlOutbox.layerWith({}))

  /** Provides the outboxes, with a prefix of your own or without migrating their tables. */
  static readonly layerWith = (
    options: LayerOptions
  ): Layer.Layer<SqlOutbox, InboxUnusable | InboxRefused, SqlClient> =>
    Layer.effect(
      SqlOutbox,
      Effect.tap(open(options), (database) =>
        options.migrate === false
          ? requireMigrated(database, outboxTables, "SqlOutbox.migrate")
          : migrateTables(database, outboxTables)
      )
    )

  /**
   * Migrates the tables to the version of this package, and does nothing where they have it: a
   * migration of yours.
   */
  static readonly migrate: Effect.Effect<void, InboxUnusable | InboxRefused, SqlClient> =
    Effect.suspend(() => SqlOutbox.migrateWith({}))

  /** Migrates tables with a prefix of your own. */
  static readonly migrateWith = (
    options: TableOptions
  ): Effect.Effect<void, InboxUnusable | InboxRefused, SqlClient> =>
    Effect.flatMap(open(options), (database) => migrateTables(database, outboxTables))

  /** Returns the statements of each version of the tables, for migrations that are files of SQL. */
  static readonly migrations = (
    dialect: DialectName,
    options: TableOptions = {}
  ): ReadonlyArray<ReadonlyArray<string>> => statements(dialect, outboxTables, options)

  /**
   * Stores messages in the transaction of the fiber: they are sent once it is committed, and never
   * if it is rolled back. Without one they are stored together in a transaction of their own.
   *
   * @example
   * yield* sql.withTransaction(
   *   Effect.zipRight(
   *     sql`INSERT INTO orders ${sql.insert(order)}`,
   *     SqlOutbox.enqueue([Buffer.from(JSON.stringify(order))])
   *   )
   * )
   */
  static readonly enqueue = (
    texts: ReadonlyArray<Uint8Array>,
    { outbox = "default" }: OutboxName = {}
  ): Effect.Effect<void, OutboxFailed | MessageTooLong, SqlOutbox> =>
    Effect.gen(function* () {
      yield* MessageClient.checkLengths(texts)
      const database = yield* SqlOutbox
      const { store, failed } = statementsOf(database, outbox)
      const messages = texts.map((text) => ({ id: makeId(), text }))
      const parts = Chunk.chunksOf(Chunk.unsafeFromArray(messages), limits.storedMessages)
      const stored = Effect.forEach(parts, (part) => store(Chunk.toReadonlyArray(part)), {
        discard: true
      })
      if (parts.length < 2 || (yield* isInTransaction)) return yield* stored
      yield* Effect.mapError(database.transaction(stored), (error) =>
        error._tag === "SqlError" ? failed(database.refused(error)) : error
      )
    })

  /** The number of messages without a receipt. */
  static readonly pending = ({ outbox = "default" }: OutboxName = {}): Effect.Effect<
    number,
    OutboxFailed,
    SqlOutbox
  > => Effect.flatMap(SqlOutbox, (database) => statementsOf(database, outbox).pending)

  /**
   * Sends the messages of an outbox to its server, in their order, and deletes each once it has its
   * receipt. A message keeps its id until then, across restarts, so that the server handles it once.
   * One process at a time delivers; others take over when it ends. Ends when nothing is pending, or
   * with `wait` runs until it is interrupted. It outlasts an unavailable database then, and fails
   * with `NotTaken` when the server refuses a message for ever: it stays the first.
   *
   * @example
   * yield* SqlOutbox.deliver({ address, keys: Credentials.pinned(serverKey), wait: true })
   */
  static readonly deliver = <E extends Failure = never, R = never>({
    outbox = "default",
    wait = false,
    retry = wait ? unlimited : { deadline: "30 seconds", includesFirstAttempt: true },
    onPause,
    ...dialOptions
  }: DeliverOptions<E, R>): Effect.Effect<void, DeliverError<E>, SqlOutbox | Transport | R> =>
    Effect.flatMap(SqlOutbox, (database) =>
      delivering.deliver(
        statementsOf(database, outbox),
        (delivery) =>
          delivery.run(
            (use) =>
              Effect.scoped(
                Effect.flatMap(
                  MessageClient.connect(dialOptions),
                  (client): Effect.Effect<void, NotTaken | ChannelError> => use(client)
                )
              ),
            retry,
            onPause
          ),
        wait
      )
    )
}

/** Why a delivery ended. */
export type DeliverError<E = never> =
  | ConnectFailed
  | HandshakeFailed
  | NotTaken
  | ChannelError
  | Undelivered
  | OutboxFailed
  | E

const unlimited: Retry = {
  deadline: Number.POSITIVE_INFINITY,
  includesFirstAttempt: true,
  isUnlimited: () => true
}
