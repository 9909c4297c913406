// The SQL statements of an inbox, for SQLite and PostgreSQL. INBOX.md.
import { randomUUID } from "node:crypto"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Dialect } from "./dialects.ts"
import * as GroupCommit from "./GroupCommit.ts"
import type { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import { senderId, type IncomingMessage } from "../messages/MessageHandler.ts"
import type { RemotePeer } from "../Service.ts"
import type { LeaseOrder, MessageStore, StoredMessage } from "./StoredMessage.ts"

/** A row, by the names of its columns. */
export type Row = Readonly<Record<string, unknown>>

/** Runs one statement as its own transaction and returns its rows. */
export type Run = (
  statement: string,
  parameters?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, InboxRefused>

// The conditions of the indexes, word for word: a database uses an index only then.
export const pending = "done_at IS NULL AND dead_at IS NULL"
export const leased = `taken_by IS NOT NULL AND ${pending}`
export const dead = "dead_at IS NOT NULL AND done_at IS NULL"

/** A message that is about to be stored. */
export interface NewRow {
  readonly peer: string
  readonly id: Uint8Array
  readonly name: string
  readonly receivedAt: number
  readonly size: number
  readonly text: Uint8Array
}

const columns =
  "sequence, peer, name, id, received_at, size, text, lease_until, taken_by, attempts, uncounted, error, dead_at"

/** Returns the rows of messages of a sender. */
export const rowsOf = (
  messages: ReadonlyArray<IncomingMessage>,
  sender: RemotePeer
): ReadonlyArray<NewRow> => {
  const [peer, name, receivedAt] = [senderId(sender), sender.peer, Date.now()]
  return messages.map(({ id, text }) => ({ peer, id, name, receivedAt, size: text.length, text }))
}

/**
 * Returns a function that stores rows in one statement, except those that are stored already. With
 * `done` they are acknowledged at once, and it returns the ids of those that were not stored yet.
 */
export const storing = (dialect: Dialect, run: Run, { done = false } = {}) => {
  const insert = insertStatement(dialect, done)
  return (rows: ReadonlyArray<NewRow>) =>
    run(
      insert(rows.length),
      rows.flatMap(({ peer, id, name, receivedAt, size, text }) => [
        peer,
        id,
        name,
        receivedAt,
        size,
        done ? noText : text
      ])
    )
}

const noText = Buffer.alloc(0)

/** The store of a table. */
export interface TableStore extends MessageStore {
  /**
   * Acknowledges a message that this consumer has leased. Returns false if the lease is lost: another
   * consumer has the message, or has handled it.
   */
  readonly settle: (stored: StoredMessage) => Effect.Effect<boolean, InboxRefused>
}

/** Converts a row of SQLite, or of PostgreSQL, which returns 64-bit integers as text. */
const storedMessage = (row: Row): StoredMessage => ({
  sequence: Number(row.sequence),
  peer: String(row.peer),
  name: String(row.name),
  id: bytesOf(row.id),
  receivedAt: Number(row.received_at),
  size: Number(row.size),
  text: bytesOf(row.text),
  // Without a consumer, `lease_until` is the end of a pause.
  leaseUntil: row.taken_by == null ? 0 : Number(row.lease_until),
  retryAt: row.taken_by == null ? Number(row.lease_until) : 0,
  attempts: Number(row.attempts),
  uncounted: Number(row.uncounted),
  error: row.error == null ? undefined : String(row.error),
  deadAt: row.dead_at == null ? undefined : Number(row.dead_at)
})

/** Converts the value of a column of bytes. */
export const bytesOf = (value: unknown): Uint8Array =>
  // SUBSTR of an empty value is NULL in SQLite.
  value instanceof ArrayBuffer ? new Uint8Array(value) : ((value ?? new Uint8Array()) as Uint8Array)

/**
 * Makes the store of a database. `requireRoom` runs before a transaction that stores this many bytes
 * of text.
 */
export const make = (
  dialect: Dialect,
  run: Run,
  requireRoom: (bytes: number) => Effect.Effect<void, InboxRefused> = () => Effect.void
): Effect.Effect<TableStore, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { now } = dialect
    const store = storing(dialect, run)
    const commit = yield* GroupCommit.make((rows: ReadonlyArray<NewRow>) =>
      Effect.zipRight(
        requireRoom(rows.reduce((sum, { size }) => sum + size, 0)),
        Effect.asVoid(store(rows))
      )
    )
    const consumer = randomUUID()
    const lease = leaseStatements(dialect)
    /** Changes a message that this consumer has leased, if the lease is not lost. */
    const changeLease = (
      { sequence, attempts }: StoredMessage,
      change: string,
      parameters: ReadonlyArray<unknown>
    ) => {
      // SQLite numbers parameters as they appear.
      const nth = (index: number) => `$${parameters.length + index}`
      return run(
        `UPDATE sealwire_inbox SET ${change} WHERE sequence = ${nth(1)} AND taken_by = ${nth(2)}
        AND attempts = ${nth(3)} AND done_at IS NULL RETURNING sequence`,
        [...parameters, sequence, consumer, attempts]
      )
    }
    const select = (statement: string, parameters: ReadonlyArray<unknown>) =>
      Effect.map(run(statement, parameters), (rows) => rows.map(storedMessage))

    return {
      handle: (messages, sender) => commit(rowsOf(messages, sender)),
      list: ({ limit, textBytes, dead: isDead = false }) =>
        select(
          `SELECT ${columns.replace("text", "SUBSTR(text, 1, $1) AS text")} FROM sealwire_inbox
          WHERE ${isDead ? dead : pending} ORDER BY sequence LIMIT $2`,
          [textBytes, limit]
        ),
      find: (idPrefix) =>
        select(
          `SELECT ${columns} FROM sealwire_inbox WHERE id BETWEEN $1 AND $2 AND done_at IS NULL ORDER BY sequence LIMIT 2`,
          ["0", "f"].map((digit) => Buffer.from(idPrefix.padEnd(32, digit), "hex"))
        ),
      depth: Effect.map(
        run(
          `SELECT ${countOf(pending)} AS messages, ${countOf(dead)} AS dead,
            (SELECT received_at FROM sealwire_inbox WHERE ${pending} ORDER BY sequence LIMIT 1) AS oldest`
        ),
        ([row]) => ({
          messages: Number(row?.messages),
          oldest: row?.oldest == null ? undefined : Number(row.oldest),
          dead: Number(row?.dead)
        })
      ),
      lease: ({ count, millis, order = "none" }) =>
        Effect.map(
          select(lease[order], [
            Math.min(count, limits.leaseMessages),
            millis,
            consumer,
            limits.leaseBytes
          ]),
          // RETURNING has no order.
          (leased) => leased.toSorted((one, other) => one.sequence - other.sequence)
        ),
      renew: (stored, millis) =>
        Effect.map(
          changeLease(stored, `lease_until = ${now} + $1`, [millis]),
          (renewed) => renewed.length > 0
        ),
      release: (stored) =>
        Effect.asVoid(
          changeLease(stored, "lease_until = 0, taken_by = NULL, uncounted = uncounted + 1", [])
        ),
      defer: (stored, { error, millis, counts }) =>
        Effect.asVoid(
          changeLease(
            stored,
            `lease_until = ${now} + $1, taken_by = NULL, error = $2, uncounted = uncounted + $3`,
            [millis, error, counts ? 0 : 1]
          )
        ),
      bury: (stored, error) =>
        Effect.asVoid(
          changeLease(stored, `dead_at = ${now}, lease_until = 0, taken_by = NULL, error = $1`, [
            error
          ])
        ),
      retry: (which) => {
        const revive = (condition: string, parameters: ReadonlyArray<number>) =>
          Effect.map(
            run(
              `UPDATE sealwire_inbox SET dead_at = NULL, lease_until = 0, uncounted = attempts
              WHERE ${condition} RETURNING sequence`,
              parameters
            ),
            ({ length }) => length
          )
        return which === "dead"
          ? revive(dead, [])
          : Effect.map(
              Effect.forEach(which, (sequence) =>
                revive("sequence = $1 AND taken_by IS NULL AND done_at IS NULL", [sequence])
              ),
              (changed) => changed.reduce((sum, count) => sum + count, 0)
            )
      },
      settle: (stored) =>
        Effect.map(
          changeLease(stored, `done_at = ${now}, text = $1`, [noText]),
          (settled) => settled.length > 0
        ),
      // The row stays, so that a message that is sent again is recognised as a duplicate.
      acknowledge: (sequences) =>
        Effect.forEach(
          Chunk.chunksOf(Chunk.unsafeFromArray(sequences), limits.transactionMessages),
          (some) =>
            run(
              `UPDATE sealwire_inbox SET done_at = ${now}, text = $1
              WHERE sequence IN (${Array.from(some, (_, index) => `$${index + 2}`).join()}) AND done_at IS NULL`,
              [noText, ...some]
            ),
          { discard: true }
        ),
      prune: ({ before, pending: isPending, dead: isDead = false }) =>
        Effect.map(
          Effect.all([
            pruneAcknowledged(run, before),
            isPending ? pruneInOrder(run, pending, "received_at", before) : Effect.succeed(0),
            isDead ? pruneInOrder(run, dead, "dead_at", before) : Effect.succeed(0)
          ]),
          (pruned) => pruned.reduce((sum, count) => sum + count, 0)
        ),
      check: Effect.asVoid(run("UPDATE sealwire_schema SET version = version"))
    }
  })

const countOf = (condition: string): string =>
  `(SELECT COUNT(*) FROM (SELECT sequence FROM sealwire_inbox WHERE ${condition} LIMIT ${limits.countedMessages}) AS counted)`

/** The statement that leases messages in each order: of $1 messages, for $2 ms, to consumer $3. */
const leaseStatements = ({ now, skipLocked }: Dialect): Readonly<Record<LeaseOrder, string>> => {
  const isReady = `${pending} AND lease_until <= ${now}`
  // Two searches of an index: messages that wait or are leased are not read, however many there are.
  const oldest = `fresh AS (
      SELECT sequence, size FROM sealwire_inbox
      WHERE ${pending} AND lease_until = 0 ORDER BY sequence LIMIT $1 ${skipLocked}
    ), due AS (
      SELECT sequence, size FROM sealwire_inbox
      WHERE ${pending} AND lease_until > 0 AND lease_until <= ${now}
      ORDER BY lease_until, sequence LIMIT $1 ${skipLocked}
    ), free AS (
      SELECT * FROM (SELECT * FROM fresh UNION ALL SELECT * FROM due) AS one ORDER BY sequence LIMIT $1
    )`
  // The same two searches for each peer. A recursive query visits each peer once.
  const firstOf = (condition: string, order: string) =>
    `(SELECT sequence FROM sealwire_inbox
      WHERE ${pending} AND peer = peers.peer AND ${condition} ORDER BY ${order} LIMIT 1)`
  const ofEachPeer = (isHeld: string) => `peers (peer) AS (
      SELECT (SELECT peer FROM sealwire_inbox WHERE ${pending} ORDER BY peer LIMIT 1)
      UNION ALL
      SELECT (
        SELECT peer FROM sealwire_inbox WHERE ${pending} AND peer > peers.peer ORDER BY peer LIMIT 1
      ) FROM peers WHERE peers.peer IS NOT NULL
    ), heads AS (
      SELECT ${firstOf("lease_until = 0", "sequence")} AS fresh,
        ${firstOf(`lease_until > 0 AND lease_until <= ${now}`, "lease_until, sequence")} AS due
      FROM peers WHERE peer IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM sealwire_inbox WHERE ${isHeld} AND peer = peers.peer AND lease_until > ${now}
      )
    ), free AS (
      SELECT sequence, size FROM sealwire_inbox
      WHERE sequence IN (SELECT CASE WHEN due < fresh THEN due ELSE COALESCE(fresh, due) END FROM heads)
        AND ${isReady} ORDER BY sequence LIMIT $1 ${skipLocked}
    )`
  const statement = (
    candidates: string
  ) => `WITH RECURSIVE ${candidates}, summed AS (SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM free)
    UPDATE sealwire_inbox SET lease_until = ${now} + $2, taken_by = $3, attempts = attempts + 1
    WHERE sequence IN (SELECT sequence FROM summed WHERE before <= $4)
    RETURNING ${columns}`
  return {
    none: statement(oldest),
    peer: statement(ofEachPeer(leased)),
    strict: statement(ofEachPeer(pending))
  }
}

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

/**
 * Deletes the rows with the condition of an index whose time in a column is before a moment, as
 * `pruneAcknowledged` does.
 */
const pruneInOrder = (run: Run, condition: string, time: string, before: number) =>
  Effect.gen(function* () {
    for (let [total, after] = [0, 0]; ; yield* Effect.sleep(limits.prunePause)) {
      const [some] = yield* run(
        `SELECT MAX(sequence) AS last FROM (
          SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM (
            SELECT sequence, size FROM sealwire_inbox
            WHERE ${condition} AND sequence > $1 ORDER BY sequence LIMIT ${limits.prunedMessages}
          ) AS some_rows
        ) AS summed WHERE before <= ${limits.prunedBytes}`,
        [after]
      )
      if (some?.last == null) return total
      const last = Number(some.last)
      const { length } = yield* run(
        `DELETE FROM sealwire_inbox
        WHERE ${condition} AND ${time} < $1 AND sequence > $2 AND sequence <= $3 RETURNING sequence`,
        [before, after, last]
      )
      total += length
      after = last
    }
  })

/** Returns the INSERT statement for a number of rows, cached: the same numbers recur. */
const insertStatement = (
  { placeholder, now }: Dialect,
  done: boolean
): ((rows: number) => string) => {
  const cache = new Map<number, string>()
  const [doneColumn, doneAt, returning] = done
    ? [", done_at", `,${now}`, " RETURNING id"]
    : ["", "", ""]
  const values = (row: number) =>
    `(${Array.from({ length: 6 }, (_, column) => placeholder(row * 6 + column + 1)).join()}${doneAt})`
  return (rows) => {
    const statement =
      cache.get(rows) ??
      `INSERT INTO sealwire_inbox (peer, id, name, received_at, size, text${doneColumn}) VALUES ` +
        `${Array.from({ length: rows }, (_, row) => values(row)).join()} ON CONFLICT DO NOTHING${returning}`
    cache.set(rows, statement)
    return statement
  }
}
