// An inbox in the memory of this process, for tests. It behaves as SqlInbox does.
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Hex from "../../bytes/Hex.ts"
import { senderId } from "../messages/MessageHandler.ts"
import { limits } from "./limits.ts"
import type { MessageStore, StoredMessage } from "./StoredMessage.ts"

interface Row extends StoredMessage {
  readonly acknowledgedAt: number | undefined
}

export const make: Effect.Effect<MessageStore> = Effect.sync(() => {
  let rows: ReadonlyArray<Row> = []
  let sequence = 0
  const pending = () => rows.filter(({ acknowledgedAt }) => acknowledgedAt === undefined)
  const update = (sequences: ReadonlySet<number>, change: (row: Row) => Partial<Row>) => {
    rows = rows.map((row) => (sequences.has(row.sequence) ? { ...row, ...change(row) } : row))
  }
  const withNow = <A>(use: (now: number) => A) => Effect.map(Clock.currentTimeMillis, use)
  return {
    handle: (messages, sender) =>
      withNow((receivedAt) => {
        const peer = senderId(sender)
        for (const { id, text } of messages)
          if (!rows.some((row) => row.peer === peer && Buffer.compare(row.id, id) === 0))
            rows = [
              ...rows,
              {
                sequence: ++sequence,
                peer,
                name: sender.peer,
                id: Buffer.from(id),
                receivedAt,
                size: text.length,
                text: Buffer.from(text),
                leaseUntil: 0,
                attempts: 0,
                acknowledgedAt: undefined
              }
            ]
      }),
    list: ({ limit, textBytes }) =>
      Effect.sync(() =>
        pending()
          .slice(0, limit)
          .map((row) => ({ ...row, text: row.text.subarray(0, textBytes) }))
      ),
    find: (idPrefix) =>
      Effect.sync(() =>
        pending()
          .filter(({ id }) => Hex.encode(id).startsWith(idPrefix.toLowerCase()))
          .slice(0, 2)
      ),
    depth: Effect.sync(() => ({ messages: pending().length, oldest: pending()[0]?.receivedAt })),
    lease: ({ count, millis }) =>
      withNow((now) => {
        let bytes = 0
        const leased = new Set<number>()
        for (const { sequence, size } of pending().filter(({ leaseUntil }) => leaseUntil <= now)) {
          if (leased.size === Math.min(count, limits.leaseMessages) || bytes > limits.leaseBytes)
            break
          leased.add(sequence)
          bytes += size
        }
        update(leased, ({ attempts }) => ({ leaseUntil: now + millis, attempts: attempts + 1 }))
        return rows.filter(({ sequence }) => leased.has(sequence))
      }),
    release: (stored) =>
      Effect.sync(() =>
        update(new Set([stored.sequence]), ({ attempts }) =>
          attempts === stored.attempts ? { leaseUntil: 0 } : {}
        )
      ),
    acknowledge: (sequences) =>
      withNow((now) =>
        update(new Set(sequences), ({ acknowledgedAt }) => ({
          acknowledgedAt: acknowledgedAt ?? now,
          text: Buffer.alloc(0)
        }))
      ),
    prune: ({ before, pending }) =>
      Effect.sync(() => {
        const kept = rows.filter(
          ({ acknowledgedAt, receivedAt }) =>
            (acknowledgedAt ?? (pending ? receivedAt : before)) >= before
        )
        const pruned = rows.length - kept.length
        rows = kept
        return pruned
      })
  }
})
