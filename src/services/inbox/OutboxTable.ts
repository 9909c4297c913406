// The tables of an outbox: its pending messages, in the table of an inbox, and their destination.
// INBOX.md.
import { shown } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { OutboxElsewhere, OutboxFailed } from "./OutboxErrors.ts"
import * as InboxTable from "./InboxTable.ts"
import type { Connection } from "./SqliteFile.ts"
import type { IncomingMessage, MessageHandler } from "../messages/MessageHandler.ts"
import * as Address from "../../transports/Address.ts"

/** The destination of the messages of an outbox, as it was named with the first of them. */
export interface Destination {
  readonly address: string
  /** The server's public key or its name, if one was given. */
  readonly peer: string | undefined
}

/** A stored message that is not acknowledged. */
export interface PendingMessage extends IncomingMessage {
  readonly sequence: number
}

/** The sender of the messages of an outbox, in its table. */
const ownSender = { peer: "outbox", from: "", publicKey: undefined, suite: "" } as const
const pageCounts = "pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
const isPending = `done_at IS NULL AND dead_at IS NULL AND peer = '${ownSender.peer}'`

export const outboxFailed =
  (outbox: string) =>
  (error: InboxUnusable | InboxRefused): OutboxFailed =>
    new OutboxFailed({
      outbox,
      reason: error.reason,
      retry: error._tag === "InboxRefused" && error.retry && error.isGone !== true
    })

/** The database of an outbox. */
export class OutboxTable {
  readonly #file: string
  readonly #connection: Connection
  readonly #handler: MessageHandler<InboxRefused>

  constructor(file: string, connection: Connection, handler: MessageHandler<InboxRefused>) {
    this.#file = file
    this.#connection = connection
    this.#handler = handler
  }

  /**
   * Returns the destination of the messages: the first one that was named, which never changes,
   * except that its peer may be named later. When none was named yet, `defaultAddress` is taken;
   * without it there is neither a destination nor a message.
   */
  destination(
    { address: given, peer }: Partial<Destination>,
    defaultAddress: string | undefined
  ): Effect.Effect<Destination | undefined, OutboxFailed | OutboxElsewhere> {
    const file = this.#file
    const address = given === undefined ? undefined : Address.canonicalText(given)
    const bind = this.#connection.transaction((run) =>
      Effect.gen(function* () {
        yield* run(
          "CREATE TABLE IF NOT EXISTS sealwire_outbox (one INTEGER PRIMARY KEY CHECK (one = 1), address TEXT NOT NULL, peer TEXT)"
        )
        const [row] = yield* run("SELECT address, peer FROM sealwire_outbox")
        const bound = row === undefined ? undefined : destinationFrom(row)
        const named = {
          address: address ?? bound?.address ?? defaultAddress,
          peer: peer ?? bound?.peer
        }
        if (named.address === undefined) return undefined
        const destination = { address: named.address, peer: named.peer }
        if (
          bound !== undefined &&
          (bound.address !== destination.address ||
            (bound.peer ?? destination.peer) !== destination.peer)
        )
          return yield* new OutboxElsewhere({
            outbox: file,
            bound: format(bound),
            named: format(destination)
          })
        if (bound === undefined || bound.peer !== destination.peer)
          yield* run(
            "INSERT OR REPLACE INTO sealwire_outbox (one, address, peer) VALUES (1, ?, ?)",
            [destination.address, destination.peer ?? null]
          )
        return destination
      })
    )
    return Effect.mapError(bind, (error) =>
      error._tag === "OutboxElsewhere" ? error : outboxFailed(file)(error)
    )
  }

  /** Stores messages and completes when they are durable, fsync included. */
  store(messages: ReadonlyArray<IncomingMessage>): Effect.Effect<unknown, OutboxFailed> {
    return Effect.mapError(this.#handler.handle(messages, ownSender), outboxFailed(this.#file))
  }

  /** The number of pending messages. */
  get pending(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(
      this.#run(`SELECT COUNT(*) AS count FROM sealwire_inbox WHERE ${isPending}`),
      ([row]) => Number(row?.count)
    )
  }

  /** The sequence number of the last pending message; 0 when none is pending. */
  get lastPending(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(
      this.#run(`SELECT MAX(sequence) AS last FROM sealwire_inbox WHERE ${isPending}`),
      ([row]) => Number(row?.last)
    )
  }

  /** Returns whether a message up to a sequence number is pending. */
  hasPendingUpTo(sequence: number): Effect.Effect<boolean, OutboxFailed> {
    return Effect.map(
      this.#run(`SELECT 1 FROM sealwire_inbox WHERE ${isPending} AND sequence <= ? LIMIT 1`, [
        sequence
      ]),
      (rows) => rows.length > 0
    )
  }

  /**
   * Reads the pending messages after a sequence number, within limits in number and bytes of text;
   * the first may be longer.
   */
  readAfter(
    sequence: number,
    messages: number,
    bytes: number
  ): Effect.Effect<ReadonlyArray<PendingMessage>, OutboxFailed> {
    const rows = this.#run(
      `WITH next AS (
        SELECT sequence, size FROM sealwire_inbox WHERE ${isPending} AND sequence > ? ORDER BY sequence LIMIT ?
      ), summed AS (SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM next)
      SELECT sequence, id, text FROM sealwire_inbox
      WHERE sequence IN (SELECT sequence FROM summed WHERE before <= ?) ORDER BY sequence`,
      [sequence, messages, bytes]
    )
    return Effect.map(rows, (all) => all.map(pendingMessage))
  }

  /** Deletes the messages of this outbox up to a sequence number. */
  remove(sequence: number): Effect.Effect<unknown, OutboxFailed> {
    return this.#run(
      `DELETE FROM sealwire_inbox WHERE peer = '${ownSender.peer}' AND sequence <= ?`,
      [sequence]
    )
  }

  /**
   * Compacts a file that is ten times as large as its content, unless another process is using it.
   */
  get shrink(): Effect.Effect<void> {
    const isLoose = `SELECT freelist_count > 10 * (page_count - freelist_count) AS loose FROM ${pageCounts}`
    return Effect.ignore(
      Effect.flatMap(this.#run(isLoose), ([row]) =>
        Number(row?.loose) === 1 ? this.#connection.runOutsideTransaction("VACUUM") : Effect.void
      )
    )
  }

  /** Bytes of the file that are in use. */
  get bytes(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(
      this.#run(`SELECT (page_count - freelist_count) * page_size AS bytes FROM ${pageCounts}`),
      ([row]) => Number(row?.bytes)
    )
  }

  #run(statement: string, parameters?: ReadonlyArray<unknown>) {
    return Effect.mapError(
      this.#connection.runSingle(statement, parameters),
      outboxFailed(this.#file)
    )
  }
}

const destinationFrom = ({ address, peer }: Readonly<Record<string, unknown>>): Destination => ({
  address: Address.canonicalText(String(address)),
  peer: peer == null ? undefined : String(peer)
})

const format = ({ address, peer }: Destination): string =>
  peer === undefined ? shown(address) : `${shown(address)} (peer ${shown(peer)})`

const pendingMessage = ({
  sequence,
  id,
  text
}: Readonly<Record<string, unknown>>): PendingMessage => ({
  sequence: Number(sequence),
  id: InboxTable.bytesOf(id),
  text: InboxTable.bytesOf(text)
})
