// Stores messages in a file until they are acknowledged, so that a restart does not lose them.
// INBOX.md.
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
import { outboxFailed, OutboxTable, type Destination, type PendingMessage } from "./OutboxTable.ts"
import { importOptional } from "./importOptional.ts"

export type { Destination } from "./OutboxTable.ts"

/** The limits of an outbox. */
export const limits = {
  /**
   * Maximum size of the file, in bytes. In a full outbox a message waits while others are
   * delivered, and is refused otherwise.
   */
  bytes: 4 * 1024 * 1024 * 1024,
  /** Messages per read of the file, and bytes of text in them. A single message may be longer. */
  readMessages: 512,
  readBytes: 1024 * 1024,
  /** Pause between two looks for the lock, for free space, and for messages of other processes. */
  pollInterval: "250 millis"
} as const

/**
 * Opens the outbox in a SQLite file of at most `bytes` bytes. A missing file is created, readable
 * by this user only. Needs the package libsql.
 */
export const open = (
  file: string,
  { bytes = limits.bytes }: { readonly bytes?: number } = {}
): Effect.Effect<Outbox, OutboxFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const sqlite = yield* importOptional(file, () => import("./SqliteFile.ts"))
    const connection = yield* sqlite.open(file)
    const store = yield* sqlite.makeStore(connection)
    const table = new OutboxTable(file, connection, store)
    return new Outbox({ file, bytes, table, tryLock: sqlite.tryLock(`${file}.turn`) })
  }).pipe(Effect.mapError(outboxFailed(file)))

interface OutboxParts {
  readonly file: string
  readonly bytes: number
  readonly table: OutboxTable
  /** Returns whether this process got the lock; only its holder delivers. */
  readonly tryLock: Effect.Effect<boolean, InboxUnusable | InboxRefused, Scope.Scope>
}

/** One run with an outbox. It delivers its own messages after those that earlier runs have left. */
export class Outbox {
  readonly #parts: OutboxParts
  /** Open when this run has stored a message or is complete. */
  readonly #changed = Effect.unsafeMakeLatch()
  #complete = false
  /** False once `deliver` has returned: then no more space becomes free. */
  #isDelivering = true

  /** Use `open`. */
  constructor(parts: OutboxParts) {
    this.#parts = parts
  }

  get file(): string {
    return this.#parts.file
  }

  /**
   * Returns the destination of the messages: the first one that was named, which never changes,
   * except that its peer may be named later. When none was named yet, `defaultAddress` is taken;
   * without it there is neither a destination nor a message.
   */
  destination(
    named: Partial<Destination>,
    defaultAddress: string | undefined
  ): Effect.Effect<Destination | undefined, OutboxFailed | OutboxElsewhere> {
    return this.#parts.table.destination(named, defaultAddress)
  }

  /** Returns whether this run may store more messages. */
  readonly isOpen = (): boolean => !this.#complete

  /**
   * Stores messages in their order and completes when they are durable, fsync included. Waits while
   * the outbox is full and others are being delivered.
   */
  enqueue(texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, OutboxFailed | MessageTooLong> {
    return Effect.gen(this, function* () {
      yield* checkLengths(texts)
      while ((yield* this.#parts.table.bytes) >= this.#parts.bytes) {
        if (!this.#isDelivering)
          return yield* new OutboxFailed({ outbox: this.file, reason: "it is full", retry: true })
        yield* Effect.sleep(limits.pollInterval)
      }
      const messages = texts.map((text) => ({ id: makeId(), text }))
      yield* this.#parts.table.store(messages)
      yield* this.#changed.open
    })
  }

  /** Declares that this run stores no more messages. */
  readonly complete: Effect.Effect<void> = Effect.suspend(() => {
    this.#complete = true
    return this.#changed.open
  })

  /** The number of stored messages without a receipt. */
  get pending(): Effect.Effect<number, OutboxFailed> {
    return this.#parts.table.pending
  }

  /**
   * Offers pending messages to the delivery, in order, and deletes those that it has acknowledged.
   * Returns when none is pending and this run is complete. `run` runs the delivery; it starts with
   * the first message. One process delivers at a time: another waits for the lock, or until its own
   * messages are delivered by the holder, for at most `patience` after it is complete.
   */
  deliver<E, R>(
    delivery: Delivery,
    run: Effect.Effect<void, E, R>,
    patience: Duration.DurationInput
  ): Effect.Effect<void, E | OutboxFailed, R> {
    return Effect.gen(this, function* () {
      if (!(yield* this.#lock(Duration.toMillis(patience)))) return
      /** The sequence numbers of the messages that the delivery has. */
      const sequences: Array<number> = []
      let removed = 0
      const remove = (acknowledged: number) =>
        Effect.suspend(() => {
          const last = sequences.splice(0, acknowledged - removed).at(-1)
          removed = acknowledged
          return last === undefined ? Effect.void : this.#remove(last)
        })
      const removeAcknowledged = Effect.forever(
        Effect.flatMap(
          Effect.suspend(() => delivery.awaitMoreThan(removed)),
          remove
        )
      )
      const first = yield* this.#next(0)
      if (first === undefined) return
      const offerPending = Effect.gen(this, function* () {
        let last = 0
        for (
          let messages: typeof first | undefined = first;
          messages !== undefined;
          messages = yield* this.#next(last)
        ) {
          for (const { sequence } of messages) sequences.push((last = sequence))
          yield* delivery.offerStored(messages)
        }
        yield* delivery.complete
        return yield* Effect.never
      })
      yield* Effect.raceFirst(run, Effect.raceFirst(offerPending, removeAcknowledged)).pipe(
        Effect.ensuring(Effect.suspend(() => remove(delivery.acknowledged)))
      )
      yield* this.#parts.table.shrink
    }).pipe(Effect.scoped, Effect.ensuring(Effect.sync(() => (this.#isDelivering = false))))
  }

  /**
   * Waits for the lock. Returns false when another process has delivered the messages of this run.
   */
  #lock(patience: number): Effect.Effect<boolean, OutboxFailed, Scope.Scope> {
    return Effect.gen(this, function* () {
      let deadline: number | undefined
      let lastOwn = 0
      for (;;) {
        if (yield* Effect.mapError(this.#parts.tryLock, outboxFailed(this.file))) return true
        const now = yield* Clock.currentTimeMillis
        if (this.#complete && deadline === undefined) {
          deadline = now + patience
          lastOwn = yield* this.#parts.table.lastPending
        }
        if (deadline !== undefined) {
          if (!(yield* this.#parts.table.hasPendingUpTo(lastOwn))) return false
          if (now >= deadline)
            return yield* new OutboxFailed({
              outbox: this.file,
              reason: "another process is delivering its messages",
              retry: true
            })
        }
        yield* Effect.sleep(limits.pollInterval)
      }
    })
  }

  /**
   * Waits for pending messages after a sequence number; undefined when there are none and this run
   * is complete.
   */
  #next(sequence: number): Effect.Effect<ReadonlyArray<PendingMessage> | undefined, OutboxFailed> {
    return Effect.gen(this, function* () {
      for (;;) {
        yield* this.#changed.close
        const isComplete = this.#complete
        const messages = yield* this.#parts.table.readAfter(
          sequence,
          limits.readMessages,
          limits.readBytes
        )
        if (messages.length > 0) return messages
        if (isComplete) return undefined
        // Another process may store messages, too.
        yield* Effect.race(this.#changed.await, Effect.sleep(limits.pollInterval))
      }
    })
  }

  /**
   * Deletes acknowledged messages. When that fails they are sent again, and the server recognises
   * their ids.
   */
  #remove(lastSequence: number): Effect.Effect<void> {
    return this.#parts.table.remove(lastSequence).pipe(
      Effect.catchAll(({ message }) =>
        Effect.logWarning(`${message}; the next run sends the delivered messages once more`)
      ),
      Effect.asVoid
    )
  }
}
