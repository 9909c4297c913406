// An inbox in the memory of this process, for tests. It behaves as InboxTable does.
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Hex from "../../bytes/Hex.ts"
import { senderId } from "../messages/MessageHandler.ts"
import { limits } from "./limits.ts"
import type { LeaseOrder, MessageStore, StoredMessage } from "./StoredMessage.ts"

interface Row extends StoredMessage {
  readonly acknowledgedAt: number | undefined
}

/** Returns whether another message of a peer holds one back, in each order. */
const isHeldBy: Readonly<Record<LeaseOrder, (other: Row, now: number) => boolean>> = {
  none: () => false,
  peer: ({ leaseUntil }, now) => leaseUntil > now,
  strict: ({ leaseUntil, retryAt }, now) => Math.max(leaseUntil, retryAt) > now
}

export const make: Effect.Effect<MessageStore> = Effect.sync(() => {
  let rows: ReadonlyArray<Row> = []
  let sequence = 0
  const present = () => rows.filter(({ acknowledgedAt }) => acknowledgedAt === undefined)
  const pending = () => present().filter(({ deadAt }) => deadAt === undefined)
  const dead = () => present().filter(({ deadAt }) => deadAt !== undefined)
  const update = (sequences: ReadonlySet<number>, change: (row: Row) => Partial<Row>) => {
    rows = rows.map((row) => (sequences.has(row.sequence) ? { ...row, ...change(row) } : row))
  }
  /** Changes a message whose lease is not lost. Returns whether it did. */
  const changeLease = (
    { sequence, attempts }: StoredMessage,
    change: (row: Row, now: number) => Partial<Row>
  ) =>
    withNow((now) => {
      const row = present().find((row) => row.sequence === sequence)
      const isHeld = row !== undefined && row.attempts === attempts && row.leaseUntil > 0
      if (isHeld) update(new Set([sequence]), (row) => change(row, now))
      return isHeld
    })
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
                retryAt: 0,
                attempts: 0,
                uncounted: 0,
                error: undefined,
                deadAt: undefined,
                acknowledgedAt: undefined
              }
            ]
      }),
    list: ({ limit, textBytes, dead: isDead = false }) =>
      Effect.sync(() =>
        (isDead ? dead() : pending())
          .slice(0, limit)
          .map((row) => ({ ...row, text: row.text.subarray(0, textBytes) }))
      ),
    find: (idPrefix) =>
      Effect.sync(() =>
        present()
          .filter(({ id }) => Hex.encode(id).startsWith(idPrefix.toLowerCase()))
          .slice(0, 2)
      ),
    depth: Effect.sync(() => ({
      messages: pending().length,
      oldest: pending()[0]?.receivedAt,
      dead: dead().length
    })),
    lease: ({ count, millis, order = "none" }) =>
      withNow((now) => {
        let bytes = 0
        const leased = new Set<number>()
        const peers = new Set(
          pending()
            .filter((row) => isHeldBy[order](row, now))
            .map(({ peer }) => peer)
        )
        const ready = pending().filter(
          ({ leaseUntil, retryAt }) => Math.max(leaseUntil, retryAt) <= now
        )
        for (const { sequence, size, peer } of ready) {
          if (leased.size === Math.min(count, limits.leaseMessages) || bytes > limits.leaseBytes)
            break
          if (peers.has(peer)) continue
          if (order !== "none") peers.add(peer)
          leased.add(sequence)
          bytes += size
        }
        update(leased, ({ attempts }) => ({
          leaseUntil: now + millis,
          retryAt: 0,
          attempts: attempts + 1
        }))
        return rows.filter(({ sequence }) => leased.has(sequence))
      }),
    renew: (stored, millis) => changeLease(stored, (_, now) => ({ leaseUntil: now + millis })),
    release: (stored) =>
      Effect.asVoid(
        changeLease(stored, ({ uncounted }) => ({ leaseUntil: 0, uncounted: uncounted + 1 }))
      ),
    defer: (stored, { error, millis, counts }) =>
      Effect.asVoid(
        changeLease(stored, ({ uncounted }, now) => ({
          leaseUntil: 0,
          retryAt: now + millis,
          error,
          uncounted: uncounted + (counts ? 0 : 1)
        }))
      ),
    bury: (stored, error) =>
      Effect.asVoid(
        changeLease(stored, (_, now) => ({ leaseUntil: 0, retryAt: 0, error, deadAt: now }))
      ),
    retry: (which) =>
      Effect.sync(() => {
        const revived = new Set(
          which === "dead"
            ? dead().map(({ sequence }) => sequence)
            : present()
                .filter(({ sequence, leaseUntil }) => leaseUntil === 0 && which.includes(sequence))
                .map(({ sequence }) => sequence)
        )
        update(revived, ({ attempts }) => ({ deadAt: undefined, retryAt: 0, uncounted: attempts }))
        return revived.size
      }),
    acknowledge: (sequences) =>
      withNow((now) =>
        update(new Set(sequences), ({ acknowledgedAt }) => ({
          acknowledgedAt: acknowledgedAt ?? now,
          text: Buffer.alloc(0)
        }))
      ),
    prune: ({ before, pending, dead = false }) =>
      Effect.sync(() => {
        const kept = rows.filter(
          ({ acknowledgedAt, deadAt, receivedAt }) =>
            (acknowledgedAt ??
              (deadAt === undefined ? (pending ? receivedAt : before) : dead ? deadAt : before)) >=
            before
        )
        const pruned = rows.length - kept.length
        rows = kept
        return pruned
      }),
    check: Effect.void
  }
})
