// An inbox in this process, gone with it: what the tests of its users take for the real one.
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Hex from "../../bytes/Hex.ts"
import { limits } from "./limits.ts"
import { peerOf } from "../messages/MessageHandler.ts"
import type { MessageStore, StoredMessage } from "./StoredMessage.ts"

interface Entry extends StoredMessage {
  readonly doneAt: number | undefined
}

export const make: Effect.Effect<MessageStore> = Effect.sync(() => {
  let entries: ReadonlyArray<Entry> = []
  let sequence = 0
  const waiting = () => entries.filter(({ doneAt }) => doneAt === undefined)
  const change = (sequences: ReadonlySet<number>, to: (entry: Entry) => Partial<Entry>) => {
    entries = entries.map((entry) =>
      sequences.has(entry.sequence) ? { ...entry, ...to(entry) } : entry
    )
  }
  const timely = <A>(use: (now: number) => A) => Effect.map(Clock.currentTimeMillis, use)
  return {
    store: (messages, sender) =>
      timely((receivedAt) => {
        const peer = peerOf(sender)
        for (const { id, text } of messages)
          if (!entries.some((entry) => entry.peer === peer && Buffer.compare(entry.id, id) === 0))
            entries = [
              ...entries,
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
                doneAt: undefined
              }
            ]
      }),
    list: ({ limit, textBytes }) =>
      Effect.sync(() =>
        waiting()
          .slice(0, limit)
          .map((entry) => ({ ...entry, text: entry.text.subarray(0, textBytes) }))
      ),
    find: (idPrefix) =>
      Effect.sync(() =>
        waiting()
          .filter(({ id }) => Hex.encode(id).startsWith(idPrefix.toLowerCase()))
          .slice(0, 2)
      ),
    depth: Effect.sync(() => ({ messages: waiting().length, oldest: waiting()[0]?.receivedAt })),
    lease: ({ count, millis }) =>
      timely((now) => {
        let before = 0
        const taken = new Set<number>()
        for (const { sequence, size } of waiting().filter(({ leaseUntil }) => leaseUntil <= now)) {
          if (taken.size === Math.min(count, limits.leaseMessages) || before > limits.leaseBytes)
            break
          taken.add(sequence)
          before += size
        }
        change(taken, ({ attempts }) => ({ leaseUntil: now + millis, attempts: attempts + 1 }))
        return entries.filter(({ sequence }) => taken.has(sequence))
      }),
    release: (stored) =>
      Effect.sync(() =>
        change(new Set([stored.sequence]), ({ attempts }) =>
          attempts === stored.attempts ? { leaseUntil: 0 } : {}
        )
      ),
    done: (sequences) =>
      timely((doneAt) =>
        change(new Set(sequences), (entry) => ({
          doneAt: entry.doneAt ?? doneAt,
          text: Buffer.alloc(0)
        }))
      ),
    prune: ({ before, unread }) =>
      Effect.sync(() => {
        const kept = entries.filter(
          ({ doneAt, receivedAt }) => (doneAt ?? (unread ? receivedAt : before)) >= before
        )
        const pruned = entries.length - kept.length
        entries = kept
        return pruned
      })
  }
})
