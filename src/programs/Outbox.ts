// Messages on their way that a restart does not lose: kept in a file until they are acknowledged, each under one id. INBOX.md.
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Printable from "../bytes/Printable.ts"
import { checkLengths } from "./Client.ts"
import type { MessageTooLong } from "./Classic.ts"
import type { Delivery } from "./Delivery.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { makeId } from "./MessageFrame.ts"
import { OutboxElsewhere, OutboxFailed } from "./OutboxErrors.ts"
import * as SqlInbox from "./SqlInbox.ts"
import type { Connection } from "./SqliteFile.ts"
import type { Incoming, Store } from "./Store.ts"
import { whenAsked } from "./whenAsked.ts"

export const limits = {
  /** How large the file may grow; who has more waits until something is acknowledged, or is refused when nothing is being delivered. */
  bytes: 4 * 1024 * 1024 * 1024,
  /** Messages that are read from the file in one go, and bytes of text in them; a single message may be longer. */
  readMessages: 512,
  readBytes: 1024 * 1024,
  /** How often who waits for its turn, for room, or for what another process puts in looks again. */
  pause: "250 millis"
} as const

/** Whom the messages of an outbox are for, as whoever put in the first said it. */
export interface Destination {
  readonly address: string
  /** The server's public key or its name, where one was given. */
  readonly peer: string | undefined
}

/** Who the messages of an outbox are from, in its table. */
const us = { peer: "outbox", from: "", publicKey: undefined, suite: "" } as const
const pages = "pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
const waitingHere = `done_at IS NULL AND peer = '${us.peer}'`

/**
 * The outbox in a SQLite file, made when it is missing, for this user alone; of at most so many bytes. Needs @effect/sql-libsql.
 */
export const open = (
  file: string,
  { bytes = limits.bytes }: { readonly bytes?: number } = {}
): Effect.Effect<Outbox, OutboxFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const sqlite = yield* whenAsked(file, () => import("./SqliteFile.ts"))
    const connection = yield* sqlite.open(file)
    const store = yield* SqlInbox.make(sqlite.dialect, connection.single)
    return new Outbox({ file, bytes, connection, store, hold: sqlite.hold(`${file}.turn`) })
  }).pipe(Effect.mapError(failed(file)))

const failed =
  (outbox: string) =>
  (error: InboxUnusable | InboxRefused): OutboxFailed =>
    new OutboxFailed({ outbox, reason: error.reason, retry: error._tag === "InboxRefused" && error.retry })

interface Parts {
  readonly file: string
  readonly bytes: number
  readonly connection: Connection
  readonly store: Store
  /** The right to deliver, which one process has: true where it was free. */
  readonly hold: Effect.Effect<boolean, InboxUnusable | InboxRefused, Scope.Scope>
}

/** One run with an outbox: what it keeps, and the delivery of that and of what earlier runs have left there. */
export class Outbox {
  readonly #parts: Parts
  /** Open when this run has put something in, or is over with it. */
  readonly #news = Effect.unsafeMakeLatch()
  #complete = false
  /** False once nothing is delivered any more, and so nothing will make room. */
  #delivering = true

  /** By `open`. */
  constructor(parts: Parts) {
    this.#parts = parts
  }

  get file(): string {
    return this.#parts.file
  }

  /**
   * Whom the messages are for: what was said at the first use, which stays; a peer may still be named later. Where nothing was said yet,
   * `otherwise` is the address; without one there is no destination, and no message either.
   */
  destination(
    { address, peer }: Partial<Destination>,
    otherwise: string | undefined
  ): Effect.Effect<Destination | undefined, OutboxFailed | OutboxElsewhere> {
    const { connection, file } = this.#parts
    const bind = connection.transaction((run) =>
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
          (bound.address !== destination.address || (bound.peer ?? destination.peer) !== destination.peer)
        )
          return yield* new OutboxElsewhere({ outbox: file, bound: shown(bound), named: shown(destination) })
        if (bound === undefined || bound.peer !== destination.peer)
          yield* run("INSERT OR REPLACE INTO sealwire_outbox (one, address, peer) VALUES (1, ?, ?)", [
            destination.address,
            destination.peer ?? null
          ])
        return destination
      })
    )
    return Effect.mapError(bind, (error) => (error._tag === "OutboxElsewhere" ? error : failed(file)(error)))
  }

  /** True as long as more may come from this run. */
  readonly isOpen = (): boolean => !this.#complete

  /** Keeps messages, in their order; done when they are on the disk, fsync included. Waits while the file is as large as it may be. */
  keep(texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, OutboxFailed | MessageTooLong> {
    return Effect.gen(this, function* () {
      yield* checkLengths(texts)
      while ((yield* this.#bytes) >= this.#parts.bytes) {
        if (!this.#delivering) return yield* new OutboxFailed({ outbox: this.file, reason: "it is full", retry: true })
        yield* Effect.sleep(limits.pause)
      }
      const messages = texts.map((text) => ({ id: makeId(), text }))
      yield* Effect.mapError(this.#parts.store.store(messages, us), failed(this.file))
      yield* this.#news.open
    })
  }

  /** This run keeps nothing more. */
  readonly complete: Effect.Effect<void> = Effect.suspend(() => {
    this.#complete = true
    return this.#news.open
  })

  /** How many messages wait. */
  get waiting(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(this.#ask(`SELECT COUNT(*) AS count FROM sealwire_inbox WHERE ${waitingHere}`), ([row]) =>
      Number(row?.count)
    )
  }

  /**
   * Hands what waits to the delivery, in order, and takes out what it has acknowledged; done when nothing waits and this run is
   * complete. `run` is the delivery's, and begins when there is something to deliver. One process at a time delivers: another waits for
   * its turn, or until the other one has delivered what it waits for; no longer than `patience` from its own completion.
   */
  deliver<E, R>(
    delivery: Delivery,
    run: Effect.Effect<void, E, R>,
    patience: Duration.DurationInput
  ): Effect.Effect<void, E | OutboxFailed, R> {
    return Effect.gen(this, function* () {
      if (!(yield* this.#turn(Duration.toMillis(patience)))) return
      /** What the delivery has of this outbox: the place of each in the table. */
      const places: Array<number> = []
      let removed = 0
      const remove = (acknowledged: number) =>
        Effect.suspend(() => {
          const gone = places.splice(0, acknowledged - removed)
          removed = acknowledged
          return gone.length === 0 ? Effect.void : this.#remove(gone.at(-1) ?? 0)
        })
      const removing = Effect.forever(
        Effect.flatMap(
          Effect.suspend(() => delivery.moreThan(removed)),
          remove
        )
      )
      const first = yield* this.#next(0)
      if (first === undefined) return
      const moving = Effect.gen(this, function* () {
        let last = 0
        for (let found: typeof first | undefined = first; found !== undefined; found = yield* this.#next(last)) {
          for (const { sequence } of found) places.push((last = sequence))
          yield* delivery.offerKept(found)
        }
        yield* delivery.complete
        return yield* Effect.never
      })
      yield* Effect.raceFirst(run, Effect.raceFirst(moving, removing)).pipe(
        Effect.ensuring(Effect.suspend(() => remove(delivery.acknowledged)))
      )
      yield* this.#shrink
    }).pipe(Effect.scoped, Effect.ensuring(Effect.sync(() => (this.#delivering = false))))
  }

  /** False when it need not come any more: others have delivered what waited. */
  #turn(patience: number): Effect.Effect<boolean, OutboxFailed, Scope.Scope> {
    return Effect.gen(this, function* () {
      let until: number | undefined
      let ours = 0
      for (;;) {
        if (yield* Effect.mapError(this.#parts.hold, failed(this.file))) return true
        const now = yield* Clock.currentTimeMillis
        if (this.#complete && until === undefined) {
          until = now + patience
          ours = Number((yield* this.#ask(`SELECT MAX(sequence) AS last FROM sealwire_inbox WHERE ${waitingHere}`))[0]?.last)
        }
        if (until !== undefined) {
          const left = yield* this.#ask(`SELECT 1 FROM sealwire_inbox WHERE ${waitingHere} AND sequence <= ? LIMIT 1`, [ours])
          if (left.length === 0) return false
          if (now >= until)
            return yield* new OutboxFailed({
              outbox: this.file,
              reason: "another sealwire send delivers what is in it",
              retry: true
            })
        }
        yield* Effect.sleep(limits.pause)
      }
    })
  }

  /** What waits behind that place, some of it; undefined when nothing does and this run is complete. */
  #next(place: number): Effect.Effect<ReadonlyArray<Waiting> | undefined, OutboxFailed> {
    return Effect.gen(this, function* () {
      for (;;) {
        yield* this.#news.close
        const isLast = this.#complete
        const rows = yield* this.#ask(
          `WITH next AS (
            SELECT sequence, size FROM sealwire_inbox WHERE ${waitingHere} AND sequence > ? ORDER BY sequence LIMIT ?
          ), summed AS (SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS before FROM next)
          SELECT sequence, id, text FROM sealwire_inbox
          WHERE sequence IN (SELECT sequence FROM summed WHERE before <= ?) ORDER BY sequence`,
          [place, limits.readMessages, limits.readBytes]
        )
        if (rows.length > 0) return rows.map(waitingOf)
        if (isLast) return undefined
        // Another process may put something in, too.
        yield* Effect.race(this.#news.await, Effect.sleep(limits.pause))
      }
    })
  }

  /** They are acknowledged up to that place. Where that cannot be written they are sent again, by their ids. */
  #remove(place: number): Effect.Effect<void> {
    return this.#ask(`DELETE FROM sealwire_inbox WHERE peer = '${us.peer}' AND sequence <= ?`, [place]).pipe(
      Effect.catchAll(({ message }) => Effect.logWarning(`${message}; what was delivered now is sent once more the next time`)),
      Effect.asVoid
    )
  }

  /** A file that is ten times as large as what is in it is made smaller, where nobody else is at it. */
  get #shrink(): Effect.Effect<void> {
    const loose = `SELECT freelist_count > 10 * (page_count - freelist_count) AS loose FROM ${pages}`
    return Effect.ignore(
      Effect.flatMap(this.#ask(loose), ([row]) =>
        Number(row?.loose) === 1 ? this.#parts.connection.outside("VACUUM") : Effect.void
      )
    )
  }

  /** How large what is in the file makes it. */
  get #bytes(): Effect.Effect<number, OutboxFailed> {
    return Effect.map(this.#ask(`SELECT (page_count - freelist_count) * page_size AS bytes FROM ${pages}`), ([row]) =>
      Number(row?.bytes)
    )
  }

  #ask(statement: string, parameters?: ReadonlyArray<unknown>) {
    return Effect.mapError(this.#parts.connection.single(statement, parameters), failed(this.file))
  }
}

interface Waiting extends Incoming {
  readonly sequence: number
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
