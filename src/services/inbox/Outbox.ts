// Messages on their way that a restart does not lose: kept in a file until they are acknowledged, each under one id. INBOX.md.
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { checkLengths } from "../messages/MessageClient.ts"
import type { MessageTooLong } from "../messages/MessageErrors.ts"
import type { Delivery } from "../messages/Delivery.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { makeId } from "../messages/MessageFrame.ts"
import { OutboxFailed, type OutboxElsewhere } from "./OutboxErrors.ts"
import { failed, OutboxTable, type Destination, type Waiting } from "./OutboxTable.ts"
import * as SqlInbox from "./SqlInbox.ts"
import { importOptional } from "./importOptional.ts"

export type { Destination } from "./OutboxTable.ts"

/** Every bound of an outbox, by name. */
export const limits = {
  /** How large the file may grow; who has more waits until something is acknowledged, or is refused when nothing is being delivered. */
  bytes: 4 * 1024 * 1024 * 1024,
  /** Messages that are read from the file in one go, and bytes of text in them; a single message may be longer. */
  readMessages: 512,
  readBytes: 1024 * 1024,
  /** How often who waits for its turn, for room, or for what another process puts in looks again. */
  pause: "250 millis"
} as const

/**
 * The outbox in a SQLite file, made when it is missing, for this user alone; of at most so many bytes. Needs @effect/sql-libsql.
 */
export const open = (
  file: string,
  { bytes = limits.bytes }: { readonly bytes?: number } = {}
): Effect.Effect<Outbox, OutboxFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const sqlite = yield* importOptional(file, () => import("./SqliteFile.ts"))
    const connection = yield* sqlite.open(file)
    const store = yield* SqlInbox.make(sqlite.dialect, connection.single)
    const table = new OutboxTable(file, connection, store)
    return new Outbox({ file, bytes, table, hold: sqlite.hold(`${file}.turn`) })
  }).pipe(Effect.mapError(failed(file)))

interface Parts {
  readonly file: string
  readonly bytes: number
  readonly table: OutboxTable
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
    named: Partial<Destination>,
    otherwise: string | undefined
  ): Effect.Effect<Destination | undefined, OutboxFailed | OutboxElsewhere> {
    return this.#parts.table.destination(named, otherwise)
  }

  /** True as long as more may come from this run. */
  readonly isOpen = (): boolean => !this.#complete

  /** Keeps messages, in their order; done when they are on the disk, fsync included. Waits while the file is as large as it may be. */
  keep(texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, OutboxFailed | MessageTooLong> {
    return Effect.gen(this, function* () {
      yield* checkLengths(texts)
      while ((yield* this.#parts.table.bytes) >= this.#parts.bytes) {
        if (!this.#delivering)
          return yield* new OutboxFailed({ outbox: this.file, reason: "it is full", retry: true })
        yield* Effect.sleep(limits.pause)
      }
      const messages = texts.map((text) => ({ id: makeId(), text }))
      yield* this.#parts.table.store(messages)
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
    return this.#parts.table.waiting
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
        for (
          let found: typeof first | undefined = first;
          found !== undefined;
          found = yield* this.#next(last)
        ) {
          for (const { sequence } of found) places.push((last = sequence))
          yield* delivery.offerKept(found)
        }
        yield* delivery.complete
        return yield* Effect.never
      })
      yield* Effect.raceFirst(run, Effect.raceFirst(moving, removing)).pipe(
        Effect.ensuring(Effect.suspend(() => remove(delivery.acknowledged)))
      )
      yield* this.#parts.table.shrink
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
          ours = yield* this.#parts.table.last
        }
        if (until !== undefined) {
          if (!(yield* this.#parts.table.waitsUpTo(ours))) return false
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
        const found = yield* this.#parts.table.behind(place, limits.readMessages, limits.readBytes)
        if (found.length > 0) return found
        if (isLast) return undefined
        // Another process may put something in, too.
        yield* Effect.race(this.#news.await, Effect.sleep(limits.pause))
      }
    })
  }

  /** They are acknowledged up to that place. Where that cannot be written they are sent again, by their ids. */
  #remove(place: number): Effect.Effect<void> {
    return this.#parts.table.remove(place).pipe(
      Effect.catchAll(({ message }) =>
        Effect.logWarning(`${message}; what was delivered now is sent once more the next time`)
      ),
      Effect.asVoid
    )
  }
}
