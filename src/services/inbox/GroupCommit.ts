// While one transaction is under way, what arrives waits together and goes in the next: one fsync for many receipts.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"

interface Waiting<Row> {
  readonly rows: ReadonlyArray<Row>
  /** The first that no transaction has taken yet. */
  next: number
  /** How many are committed, from the first. */
  committed: number
  readonly done: Deferred.Deferred<void, InboxRefused>
}

/** What is in a queue costs this beside its text. */
const rowBytes = 100

/** One turn of the event loop: other sessions read and write between two transactions. */
const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/**
 * Gives rows to `commit`, in their order, one transaction at a time, each within `limits.transactionMessages` and
 * `limits.transactionBytes`; done when all of one's rows are committed. Who is alone does not wait.
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
    const room = yield* Effect.makeSemaphore(limits.queuedBytes)
    const queue: Array<Waiting<Row>> = []
    let writing = false

    /** The rows of the next transaction, and whose they are. */
    const gather = () => {
      const rows: Array<Row> = []
      const owners: Array<Waiting<Row>> = []
      let bytes = 0
      for (const waiting of queue) {
        const before = waiting.next
        for (
          let row = waiting.rows[waiting.next];
          row !== undefined;
          row = waiting.rows[waiting.next]
        ) {
          const full =
            rows.length === limits.transactionMessages || bytes + row.size > limits.transactionBytes
          if (rows.length > 0 && full) break
          rows.push(row)
          bytes += row.size
          waiting.next++
        }
        if (waiting.next > before) owners.push(waiting)
        if (waiting.next < waiting.rows.length) break
      }
      return { rows, owners }
    }

    const write = Effect.gen(function* () {
      while (queue.length > 0) {
        const { rows, owners } = gather()
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
        yield* turn
      }
    }).pipe(Effect.ensuring(Effect.sync(() => (writing = false))))

    return (rows) => {
      if (rows.length === 0) return Effect.void
      const bytes = rows.reduce((sum, { size }) => sum + size + rowBytes, 0)
      const waiting = Effect.gen(function* () {
        const done = yield* Deferred.make<void, InboxRefused>()
        queue.push({ rows, next: 0, committed: 0, done })
        if (!writing) {
          writing = true
          yield* Effect.forkIn(write, scope)
        }
        yield* Deferred.await(done)
      })
      return room.withPermits(Math.min(bytes, limits.queuedBytes))(waiting)
    }
  })
