// The tables of an outbox in the application's database: pending messages, and whose turn it is to
// deliver them. INBOX.md section 9.
import * as Effect from "effect/Effect"
import type { InboxRefused } from "../InboxErrors.ts"
import { bytesOf } from "../InboxTable.ts"
import type { Tables } from "../migrate.ts"
import { OutboxFailed } from "../OutboxErrors.ts"
import type { IncomingMessage } from "../../messages/MessageHandler.ts"
import type { SqlDatabase } from "./SqlDatabase.ts"

/** The limits of an outbox in the application's database. */
export const limits = {
  /** Messages per statement that stores them. */
  storedMessages: 512,
  /** Messages per look at the table, and bytes of text in them. A single message may be longer. */
  readMessages: 512,
  readBytes: 4 * 1024 * 1024,
  /** Pause between two looks for new messages. */
  pollInterval: "250 millis",
  /** Duration of a turn, in milliseconds, and the part of it after which it is renewed. */
  turnMillis: 15_000,
  renewAfter: 1 / 3,
  /** Pause between two attempts to take the turn while another process has it. */
  turnInterval: "1 second",
  /**
   * First and longest pause while the database is unavailable, and the time after which a deliverer
   * gives up.
   */
  firstOutagePause: "250 millis",
  longestOutagePause: "10 seconds",
  outage: "5 minutes"
} as const

export const outboxTables: Tables = {
  schema: "sealwire_outbox_schema",
  versions: ({ sequence, integer, bytes }) => [
    [
      `CREATE TABLE sealwire_outbox_messages (
        sequence ${sequence},
        outbox TEXT NOT NULL,
        id ${bytes} NOT NULL,
        created_at ${integer} NOT NULL,
        size ${integer} NOT NULL,
        text ${bytes} NOT NULL
      )`,
      "CREATE INDEX sealwire_outbox_pending ON sealwire_outbox_messages (outbox, sequence)",
      `CREATE TABLE sealwire_outbox_turns (
        outbox TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        held_until ${integer} NOT NULL
      )`
    ]
  ]
}

/** A stored message without a receipt. */
export interface PendingMessage extends IncomingMessage {
  readonly sequence: number
}

/** The statements of one outbox. */
export const statementsOf = ({ dialect: { now }, run }: SqlDatabase, outbox: string) => {
  const failed = ({ reason, retry }: InboxRefused) => new OutboxFailed({ outbox, reason, retry })
  const attempt = (statement: string, parameters: ReadonlyArray<unknown>) =>
    Effect.mapError(run(statement, [outbox, ...parameters]), failed)
  return {
    failed,
    /** Stores messages in one statement. */
    store: (messages: ReadonlyArray<IncomingMessage>) => {
      const values = messages.map((_, row) => {
        const [id, size, text] = [2, 3, 4].map((nth) => `$${row * 3 + nth}`)
        return `($1, ${id}, ${now}, ${size}, ${text})`
      })
      return attempt(
        `INSERT INTO sealwire_outbox_messages (outbox, id, created_at, size, text) VALUES ${values.join()}`,
        messages.flatMap(({ id, text }) => [id, text.length, text])
      )
    },
    /**
     * Reads the oldest messages. Transactions commit in any order, so a message may appear before
     * one that was read: no statement here takes a sequence number for a position.
     */
    read: Effect.map(
      attempt(
        `WITH next AS (
          SELECT sequence, size FROM sealwire_outbox_messages
          WHERE outbox = $1 ORDER BY sequence LIMIT $2
        ), summed AS (SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM next)
        SELECT sequence, id, text FROM sealwire_outbox_messages
        WHERE sequence IN (SELECT sequence FROM summed WHERE before <= $3) ORDER BY sequence`,
        [limits.readMessages, limits.readBytes]
      ),
      (rows): ReadonlyArray<PendingMessage> =>
        rows.map(({ sequence, id, text }) => ({
          sequence: Number(sequence),
          id: bytesOf(id),
          text: bytesOf(text)
        }))
    ),
    remove: (sequences: ReadonlyArray<number>) =>
      attempt(
        `DELETE FROM sealwire_outbox_messages
        WHERE outbox = $1 AND sequence IN (${sequences.map((_, index) => `$${index + 2}`).join()})`,
        sequences
      ),
    pending: Effect.map(
      attempt("SELECT COUNT(*) AS messages FROM sealwire_outbox_messages WHERE outbox = $1", []),
      ([row]) => Number(row?.messages)
    ),
    /** Takes the turn, or renews it. Returns false while another holder has it. */
    takeTurn: (holder: string) =>
      Effect.map(
        attempt(
          `INSERT INTO sealwire_outbox_turns (outbox, holder, held_until)
          VALUES ($1, $2, ${now} + $3)
          ON CONFLICT (outbox) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
          WHERE sealwire_outbox_turns.holder = excluded.holder OR sealwire_outbox_turns.held_until <= ${now}
          RETURNING holder`,
          [holder, limits.turnMillis]
        ),
        ({ length }) => length > 0
      ),
    endTurn: (holder: string) =>
      attempt("DELETE FROM sealwire_outbox_turns WHERE outbox = $1 AND holder = $2", [holder])
  }
}

export type OutboxStatements = ReturnType<typeof statementsOf>
