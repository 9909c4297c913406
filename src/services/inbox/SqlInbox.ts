// The SQL statements of an inbox, for SQLite and PostgreSQL. INBOX.md.
import { randomUUID } from "node:crypto"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as GroupCommit from "./GroupCommit.ts"
import { InboxUnusable, type InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import { senderId } from "../messages/MessageHandler.ts"
import type { MessageStore, StoredMessage } from "./StoredMessage.ts"

/** The differences between the two databases. */
export interface Dialect {
  /** The placeholder of the nth parameter, from 1, in the INSERT statement. */
  readonly placeholder: (nth: number) => string
  /** Column types. */
  readonly sequence: string
  readonly integer: string
  readonly bytes: string
  /**
   * An expression for the milliseconds since 1970, by the database's clock, which all servers and
   * consumers share.
   */
  readonly now: string
  /** The clause that makes concurrent consumers skip each other's rows. */
  readonly skipLocked: string
}

type Row = Readonly<Record<string, unknown>>

/** Runs one statement as its own transaction and returns its rows. */
export type Run = (
  statement: string,
  parameters?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, InboxRefused>

/**
 * The statements that migrate each version of the tables to the next. Released migrations never
 * change.
 */
const migrations = ({
  sequence,
  integer,
  bytes
}: Dialect): ReadonlyArray<ReadonlyArray<string>> => [
  [
    `CREATE TABLE sealwire_inbox (
      sequence ${sequence},
      peer TEXT NOT NULL,
      id ${bytes} NOT NULL,
      name TEXT NOT NULL,
      received_at ${integer} NOT NULL,
      size ${integer} NOT NULL,
      text ${bytes} NOT NULL,
      lease_until ${integer} NOT NULL DEFAULT 0,
      taken_by TEXT,
      attempts ${integer} NOT NULL DEFAULT 0,
      done_at ${integer},
      UNIQUE (id, peer)
    )`,
    "CREATE INDEX sealwire_inbox_waiting ON sealwire_inbox (sequence) WHERE done_at IS NULL"
  ],
  ["CREATE INDEX sealwire_inbox_done ON sealwire_inbox (done_at) WHERE done_at IS NOT NULL"]
]

/**
 * Migrates the tables to the current version. Callers run it in a transaction that excludes other
 * migrations.
 */
export const migrate = (
  inbox: string,
  dialect: Dialect,
  run: Run
): Effect.Effect<void, InboxRefused | InboxUnusable> =>
  Effect.gen(function* () {
    const versions = migrations(dialect)
    yield* run(`CREATE TABLE IF NOT EXISTS sealwire_schema (version ${dialect.integer} NOT NULL)`)
    const [row] = yield* run("SELECT COALESCE(MAX(version), 0) AS version FROM sealwire_schema")
    const version = Number(row?.version)
    if (version > versions.length)
      return yield* new InboxUnusable({
        inbox,
        reason: "it was created by a newer version of sealwire; upgrade this one"
      })
    for (const [index, statements] of versions.entries())
      if (index >= version) {
        for (const statement of statements) yield* run(statement)
        yield* run(`INSERT INTO sealwire_schema (version) VALUES (${index + 1})`)
      }
  })

interface NewRow {
  readonly peer: string
  readonly id: Uint8Array
  readonly name: string
  readonly receivedAt: number
  readonly size: number
  readonly text: Uint8Array
}

const columns = "sequence, peer, name, id, received_at, size, text, lease_until, attempts"

/** Converts a row of SQLite, or of PostgreSQL, which returns 64-bit integers as text. */
const storedMessage = (row: Row): StoredMessage => ({
  sequence: Number(row.sequence),
  peer: String(row.peer),
  name: String(row.name),
  id: bytesOf(row.id),
  receivedAt: Number(row.received_at),
  size: Number(row.size),
  text: bytesOf(row.text),
  leaseUntil: Number(row.lease_until),
  attempts: Number(row.attempts)
})

/** Converts the value of a column of bytes. */
export const bytesOf = (value: unknown): Uint8Array =>
  // SUBSTR of an empty value is NULL in SQLite.
  value instanceof ArrayBuffer ? new Uint8Array(value) : ((value ?? new Uint8Array()) as Uint8Array)

export const make = (dialect: Dialect, run: Run): Effect.Effect<MessageStore, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { now, skipLocked } = dialect
    const insert = insertStatement(dialect)
    const commit = yield* GroupCommit.make((rows: ReadonlyArray<NewRow>) =>
      Effect.asVoid(
        run(
          insert(rows.length),
          rows.flatMap(({ peer, id, name, receivedAt, size, text }) => [
            peer,
            id,
            name,
            receivedAt,
            size,
            text
          ])
        )
      )
    )
    const consumer = randomUUID()
    const select = (statement: string, parameters: ReadonlyArray<unknown>) =>
      Effect.map(run(statement, parameters), (rows) => rows.map(storedMessage))

    return {
      handle: (messages, sender) => {
        const [peer, name, receivedAt] = [senderId(sender), sender.peer, Date.now()]
        return commit(
          messages.map(({ id, text }) => ({ peer, id, name, receivedAt, size: text.length, text }))
        )
      },
      list: ({ limit, textBytes }) =>
        select(
          `SELECT ${columns.replace("text", "SUBSTR(text, 1, $1) AS text")} FROM sealwire_inbox
          WHERE done_at IS NULL ORDER BY sequence LIMIT $2`,
          [textBytes, limit]
        ),
      find: (idPrefix) =>
        select(
          `SELECT ${columns} FROM sealwire_inbox WHERE id BETWEEN $1 AND $2 AND done_at IS NULL ORDER BY sequence LIMIT 2`,
          ["0", "f"].map((digit) => Buffer.from(idPrefix.padEnd(32, digit), "hex"))
        ),
      depth: Effect.map(
        run(
          `SELECT
            (SELECT COUNT(*) FROM (SELECT sequence FROM sealwire_inbox WHERE done_at IS NULL LIMIT ${limits.countedMessages}) AS some) AS messages,
            (SELECT received_at FROM sealwire_inbox WHERE done_at IS NULL ORDER BY sequence LIMIT 1) AS oldest`
        ),
        ([row]) => ({
          messages: Number(row?.messages),
          oldest: row?.oldest == null ? undefined : Number(row.oldest)
        })
      ),
      lease: ({ count, millis }) =>
        Effect.map(
          select(
            `WITH free AS MATERIALIZED (
              SELECT sequence, size FROM sealwire_inbox
              WHERE done_at IS NULL AND lease_until <= ${now} ORDER BY sequence LIMIT $1 ${skipLocked}
            ), summed AS (SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM free)
            UPDATE sealwire_inbox SET lease_until = ${now} + $2, taken_by = $3, attempts = attempts + 1
            WHERE sequence IN (SELECT sequence FROM summed WHERE before <= $4)
            RETURNING ${columns}`,
            [Math.min(count, limits.leaseMessages), millis, consumer, limits.leaseBytes]
          ),
          // RETURNING has no order.
          (leased) => leased.toSorted((one, other) => one.sequence - other.sequence)
        ),
      release: ({ sequence, attempts }) =>
        Effect.asVoid(
          run(
            "UPDATE sealwire_inbox SET lease_until = 0 WHERE sequence = $1 AND taken_by = $2 AND attempts = $3",
            [sequence, consumer, attempts]
          )
        ),
      // The row stays, so that a message that is sent again is recognised as a duplicate.
      acknowledge: (sequences) =>
        Effect.forEach(
          Chunk.chunksOf(Chunk.unsafeFromArray(sequences), limits.transactionMessages),
          (some) =>
            run(
              `UPDATE sealwire_inbox SET done_at = ${now}, text = $1
              WHERE sequence IN (${Array.from(some, (_, index) => `$${index + 2}`).join()}) AND done_at IS NULL`,
              [Buffer.alloc(0), ...some]
            ),
          { discard: true }
        ),
      prune: ({ before, pending }) =>
        Effect.zipWith(
          pruneAcknowledged(run, before),
          pending ? prunePending(run, before) : Effect.succeed(0),
          (acknowledged, unread) => acknowledged + unread
        )
    }
  })

/**
 * Deletes the rows that were acknowledged before a moment, in transactions with pauses, in which
 * senders store messages. Returns their number.
 */
const pruneAcknowledged = (run: Run, before: number) =>
  Effect.gen(function* () {
    for (let total = 0; ; yield* Effect.sleep(limits.prunePause)) {
      const { length } = yield* run(
        `DELETE FROM sealwire_inbox WHERE sequence IN (
          SELECT sequence FROM sealwire_inbox WHERE done_at < $1 ORDER BY done_at LIMIT ${limits.prunedMessages}
        ) RETURNING sequence`,
        [before]
      )
      total += length
      if (length < limits.prunedMessages) return total
    }
  })

/** Deletes the rows that arrived before a moment and are pending, as `pruneAcknowledged` does. */
const prunePending = (run: Run, before: number) =>
  Effect.gen(function* () {
    for (let [total, after] = [0, 0]; ; yield* Effect.sleep(limits.prunePause)) {
      const [some] = yield* run(
        `SELECT MAX(sequence) AS last FROM (
          SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM (
            SELECT sequence, size FROM sealwire_inbox
            WHERE done_at IS NULL AND sequence > $1 ORDER BY sequence LIMIT ${limits.prunedMessages}
          ) AS pending
        ) AS summed WHERE before <= ${limits.prunedBytes}`,
        [after]
      )
      if (some?.last == null) return total
      const last = Number(some.last)
      const { length } = yield* run(
        `DELETE FROM sealwire_inbox
        WHERE done_at IS NULL AND received_at < $1 AND sequence > $2 AND sequence <= $3 RETURNING sequence`,
        [before, after, last]
      )
      total += length
      after = last
    }
  })

/** Returns the INSERT statement for a number of rows, cached: the same numbers recur. */
const insertStatement = ({ placeholder }: Dialect): ((rows: number) => string) => {
  const cache = new Map<number, string>()
  const values = (row: number) =>
    `(${Array.from({ length: 6 }, (_, column) => placeholder(row * 6 + column + 1)).join()})`
  return (rows) => {
    const statement =
      cache.get(rows) ??
      "INSERT INTO sealwire_inbox (peer, id, name, received_at, size, text) VALUES " +
        `${Array.from({ length: rows }, (_, row) => values(row)).join()} ON CONFLICT DO NOTHING`
    cache.set(rows, statement)
    return statement
  }
}
