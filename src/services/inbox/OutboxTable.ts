// What stands in the file of an outbox: the messages that wait, in the table of an inbox, and whom they are for. INBOX.md.
import * as Effect from "effect/Effect"
import * as Printable from "../../bytes/Printable.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { OutboxElsewhere, OutboxFailed } from "./OutboxErrors.ts"
import * as SqlInbox from "./SqlInbox.ts"
import type { Connection } from "./SqliteFile.ts"
import type { IncomingMessage, MessageHandler } from "../messages/MessageHandler.ts"

/** Whom the messages of an outbox are for, as whoever put in the first said it. */
export interface Destination {
  readonly address: string
  /** The server's public key or its name, where one was given. */
  readonly peer: string | undefined
}

/** A message with its place in the table. */
export interface Waiting extends IncomingMessage {
  readonly sequence: number
}

/** Who the messages of an outbox are from, in its table. */
const us = { peer: "outbox", from: "", publicKey: undefined, suite: "" } as const
const pages = "pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
const waitingHere = `done_at IS NULL AND peer = '${us.peer}'`

export const failed =
  (outbox: string) =>
  (error: InboxUnusable | InboxRefused): OutboxFailed =>
    new OutboxFailed({
      outbox,
      reason: error.reason,
      retry: error._tag === "InboxRefused" && error.retry
    })

export class OutboxTable {
  readonly #file: string
  readonly #connection: Connection
  readonly #store: MessageHandler<InboxRefused>

  constructor(file: string, connection: Connection, store: MessageHandler<InboxRefused>) {
    this.#file = file
    this.#connection = connection
    this.#store = store
  }

  /**
   * Whom the messages are for: what was said at the first use, which stays; a peer may still be named later. Where nothing was said yet,
   * `otherwise` is the address; without one there is no destination, and no message either.
   */
  destination(
    { address, peer }: Partial<Destination>,
    otherwise: string | undefined
  ): Effect.Effect<Destination | undefined, OutboxFailed | OutboxElsewhere> {
    const file = this.#file
    const bind = this.#connection.transaction((run) =>
      Effect.gen(function* () {
        yield* run(
          "CREATE TABLE IF NOT EXISTS sealwire_outbox (one INTEGER PRIMARY KEY CHECK (one = 1), address TEXT NOT NULL, peer TEXT)"
        )
        const [row] = yield* run("SELECT address, peer FROM sealwire_outbox")
        const bound = row === undefined ? undefined : destinationOf(row)
        const named = { address: address ?? bound?.address ?? otherwise, peer: peer ?? bound?.peer }
        if (named.address === undefined) return undefined
        const destination = { address: named.address, peer: named.peer }
        if (
          bound !== undefined &&
          (bound.address !== destination.address ||
            (bound.peer ?? destination.peer) !== destination.peer)
        )
          return yield* new OutboxElsewhere({
            outbox: file,
            bound: shown(bound),
            named: shown(destination)
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
      error._tag === "OutboxElsewhere" ? error : failed(file)(error)
    )
  }

  /** Done when they are on the disk, fsync included. */
  store(messages: ReadonlyArray<IncomingMessage>): Effect.Effect<unknown, OutboxFailed> {
    return Effect.mapError(this.#store.store(messages, us), failed(this.#file))
  }

  /** How many messages wait. */
  get waiting(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(
      this.#ask(`SELECT COUNT(*) AS count FROM sealwire_inbox WHERE ${waitingHere}`),
      ([row]) => Number(row?.count)
    )
  }

  /** The place of the last that waits; 0 where none does. */
  get last(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(
      this.#ask(`SELECT MAX(sequence) AS last FROM sealwire_inbox WHERE ${waitingHere}`),
      ([row]) => Number(row?.last)
    )
  }

  /** Whether anything waits up to that place. */
  waitsUpTo(place: number): Effect.Effect<boolean, OutboxFailed> {
    return Effect.map(
      this.#ask(`SELECT 1 FROM sealwire_inbox WHERE ${waitingHere} AND sequence <= ? LIMIT 1`, [
        place
      ]),
      (rows) => rows.length > 0
    )
  }

  /** The next behind that place, at most so many and, but for the first, with at most so many bytes of text. */
  behind(
    place: number,
    messages: number,
    bytes: number
  ): Effect.Effect<ReadonlyArray<Waiting>, OutboxFailed> {
    const rows = this.#ask(
      `WITH next AS (
        SELECT sequence, size FROM sealwire_inbox WHERE ${waitingHere} AND sequence > ? ORDER BY sequence LIMIT ?
      ), summed AS (SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM next)
      SELECT sequence, id, text FROM sealwire_inbox
      WHERE sequence IN (SELECT sequence FROM summed WHERE before <= ?) ORDER BY sequence`,
      [place, messages, bytes]
    )
    return Effect.map(rows, (all) => all.map(waitingOf))
  }

  remove(place: number): Effect.Effect<unknown, OutboxFailed> {
    return this.#ask(`DELETE FROM sealwire_inbox WHERE peer = '${us.peer}' AND sequence <= ?`, [
      place
    ])
  }

  /** A file that is ten times as large as what is in it is made smaller, where nobody else is at it. */
  get shrink(): Effect.Effect<void> {
    const loose = `SELECT freelist_count > 10 * (page_count - freelist_count) AS loose FROM ${pages}`
    return Effect.ignore(
      Effect.flatMap(this.#ask(loose), ([row]) =>
        Number(row?.loose) === 1 ? this.#connection.outside("VACUUM") : Effect.void
      )
    )
  }

  /** How large what is in the file makes it. */
  get bytes(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(
      this.#ask(`SELECT (page_count - freelist_count) * page_size AS bytes FROM ${pages}`),
      ([row]) => Number(row?.bytes)
    )
  }

  #ask(statement: string, parameters?: ReadonlyArray<unknown>) {
    return Effect.mapError(this.#connection.single(statement, parameters), failed(this.#file))
  }
}

const destinationOf = ({ address, peer }: Readonly<Record<string, unknown>>): Destination => ({
  address: String(address),
  peer: peer == null ? undefined : String(peer)
})

const shown = ({ address, peer }: Destination): string =>
  Printable.line(peer === undefined ? address : `${address} (--peer ${peer})`)

const waitingOf = ({ sequence, id, text }: Readonly<Record<string, unknown>>): Waiting => ({
  sequence: Number(sequence),
  id: SqlInbox.bytesOf(id),
  text: SqlInbox.bytesOf(text)
})
