// Group commit: rows that arrive during a transaction share the next one, so one fsync serves many
// receipts.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"

interface QueuedRows<Row> {
  readonly rows: ReadonlyArray<Row>
  /** Index of the first row that is in no transaction yet. */
  next: number
  /** Number of committed rows, from the first. */
  committed: number
  readonly done: Deferred.Deferred<void, InboxRefused>
}

/** Estimated memory of a queued row beside its text, in bytes. */
const rowBytes = 100

/** Waits one turn of the event loop: between two transactions other sessions read and write. */
const nextTurn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/**
 * Returns a function that commits rows and completes when they are committed. Rows are given to
 * `commit` in the order of arrival, one transaction at a time, each within
 * `limits.transactionMessages` and `limits.transactionBytes`. A lone caller does not wait for
 * others.
 */
export const make = <Row extends { readonly size: number }>(
  commit: (rows: ReadonlyArray<Row>) => Effect.Effect<void, InboxRefused>
): Effect.Effect<
  (rows: ReadonlyArray<Row>) => Effect.Effect<void, InboxRefused>,
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const memory = yield* Effect.makeSemaphore(limits.queuedBytes)
    const queue: Array<QueuedRows<Row>> = []
    let isWriting = false

    const write = Effect.gen(function* () {
      while (queue.length > 0) {
        const { rows, owners } = nextTransaction(queue)
        const exit = yield* Effect.exit(commit(rows))
        for (const owner of owners) {
          if (exit._tag === "Success") owner.committed = owner.next
          if (exit._tag === "Success" && owner.next < owner.rows.length) continue
          queue.splice(queue.indexOf(owner), 1)
          const { committed: handled } = owner
          const outcome = Exit.mapError(
            exit,
            ({ reason, retry }) => new InboxRefused({ reason, retry, handled })
          )
          Deferred.unsafeDone(owner.done, outcome)
        }
        yield* nextTurn
      }
    }).pipe(Effect.ensuring(Effect.sync(() => (isWriting = false))))

    return (rows) => {
      if (rows.length === 0) return Effect.void
      const bytes = rows.reduce((sum, { size }) => sum + size + rowBytes, 0)
      const enqueueAndWait = Effect.gen(function* () {
        const done = yield* Deferred.make<void, InboxRefused>()
        queue.push({ rows, next: 0, committed: 0, done })
        if (!isWriting) {
          isWriting = true
          yield* Effect.forkIn(write, scope)
        }
        yield* Deferred.await(done)
      })
      return memory.withPermits(Math.min(bytes, limits.queuedBytes))(enqueueAndWait)
    }
  })

/** Takes the rows of the next transaction from the queue, with the entries that they belong to. */
const nextTransaction = <Row extends { readonly size: number }>(
  queue: ReadonlyArray<QueuedRows<Row>>
) => {
  const rows: Array<Row> = []
  const owners: Array<QueuedRows<Row>> = []
  let bytes = 0
  for (const queued of queue) {
    const before = queued.next
    for (let row = queued.rows[before]; row !== undefined; row = queued.rows[queued.next]) {
      const isFull =
        rows.length === limits.transactionMessages || bytes + row.size > limits.transactionBytes
      if (rows.length > 0 && isFull) break
      rows.push(row)
      bytes += row.size
      queued.next++
    }
    if (queued.next > before) owners.push(queued)
    if (queued.next < queued.rows.length) break
  }
  return { rows, owners }
}
