// Delivers the messages of an outbox in the application's database, one deliverer at a time.
// INBOX.md section 9.
import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Delivery } from "../../messages/Delivery.ts"
import type { OutboxFailed } from "../OutboxErrors.ts"
import { limits, type OutboxStatements, type PendingMessage } from "./outboxTables.ts"

/**
 * Delivers until nothing is pending, or with `wait` until it is interrupted. `run` runs a delivery;
 * it starts with the first message.
 */
export const deliver = <E, R>(
  table: OutboxStatements,
  run: (delivery: Delivery) => Effect.Effect<void, E, R>,
  wait: boolean
): Effect.Effect<void, E | OutboxFailed, R> => {
  const holder = randomUUID()
  const inTurn: Effect.Effect<boolean, E | OutboxFailed, R> = Effect.raceFirst(
    Effect.as(deliverPending(table, run, wait), true),
    Effect.as(keepTurn(table, holder), false)
  )
  const loop = Effect.gen(function* () {
    for (;;) {
      if (yield* table.takeTurn(holder)) {
        const isDone = yield* Effect.ensuring(inTurn, Effect.ignore(table.endTurn(holder)))
        if (isDone) return
        yield* Effect.logWarning("another process delivers the messages of the outbox")
      } else if (!wait && (yield* table.pending) === 0) return
      yield* Effect.sleep(limits.turnInterval)
    }
  })
  return wait ? Effect.retry(loop, { while: isOutage, schedule: outages }) : loop
}

const isOutage = (error: unknown): boolean => {
  const { _tag, retry } = error as Partial<OutboxFailed>
  return _tag === "OutboxFailed" && retry === true
}

/** The pauses while the database is unavailable; it is one outage while they follow each other. */
const outages = Schedule.exponential(limits.firstOutagePause).pipe(
  Schedule.union(Schedule.spaced(limits.longestOutagePause)),
  Schedule.upTo(limits.outage),
  Schedule.resetAfter("1 minute")
)

/** Renews the turn. Ends when another process has it, or may have it. */
const keepTurn = (table: OutboxStatements, holder: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    let expires = performance.now() + limits.turnMillis
    for (;;) {
      yield* Effect.sleep(limits.turnMillis * limits.renewAfter)
      const before = performance.now()
      const renewal = yield* Effect.either(table.takeTurn(holder))
      if (renewal._tag === "Right" && !renewal.right) return
      if (renewal._tag === "Right") expires = before + limits.turnMillis
      else if (performance.now() >= expires) return
    }
  })

/** Sends messages in their order, and deletes each when it has its receipt. */
const deliverPending = <E, R>(
  table: OutboxStatements,
  run: (delivery: Delivery) => Effect.Effect<void, E, R>,
  wait: boolean
): Effect.Effect<void, E | OutboxFailed, R> =>
  Effect.gen(function* () {
    /** Reads messages; none only when nothing is pending and this run does not wait. */
    const next: Effect.Effect<ReadonlyArray<PendingMessage>, OutboxFailed> = Effect.flatMap(
      table.read,
      (messages) =>
        messages.length > 0 || !wait
          ? Effect.succeed(messages)
          : Effect.zipRight(Effect.sleep(limits.pollInterval), next)
    )
    const first = yield* next
    if (first.length === 0) return
    const delivery = new Delivery()
    /** The messages of the delivery without a receipt, and the number of those before. */
    let sent = first
    let removed = 0
    const removeAcknowledged = Effect.suspend(() => {
      const count = delivery.acknowledged - removed
      if (count === 0) return Effect.void
      const acknowledged = sent.slice(0, count)
      removed += count
      sent = sent.slice(count)
      return Effect.asVoid(table.remove(acknowledged.map(({ sequence }) => sequence)))
    }).pipe(Effect.uninterruptible)
    const feed = Effect.gen(function* () {
      for (; sent.length > 0; sent = yield* next) {
        yield* delivery.offerStored(sent)
        while (sent.length > 0) {
          yield* delivery.awaitMoreThan(removed)
          yield* removeAcknowledged
        }
      }
      yield* delivery.complete
      return yield* Effect.never
    })
    yield* Effect.raceFirst(run(delivery), feed).pipe(
      // The server recognises messages whose deletion fails, by their ids.
      Effect.ensuring(Effect.suspend(() => Effect.ignore(removeAcknowledged)))
    )
  })
