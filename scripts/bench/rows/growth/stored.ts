import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as SqliteFile from "../../../../src/services/inbox/SqliteFile.ts"
import * as SqliteStore from "../../../../src/services/inbox/SqliteStore.ts"
import type { MessageStore } from "../../../../src/services/inbox/StoredMessage.ts"
import type { RemotePeer } from "../../../../src/services/Service.ts"
import type { Contestant, Row } from "../../Row.ts"
import { operations } from "../../scale.ts"

const command = path.resolve(import.meta.dirname, "../../../../dist/sealwire.js")
const sender: RemotePeer = {
  peer: "bench",
  from: "127.0.0.1:1",
  publicKey: Buffer.alloc(32, 1),
  suite: "IK"
}
const batchMessages = 500
const batches = 10
/** The pause between two messages of the sender while the inbox is pruned. */
const sendMillis = 5

const messages = (count: number) =>
  Array.from({ length: count }, () => ({ id: randomBytes(16), text: Buffer.alloc(100) }))

/** Stores this many acknowledged messages of long ago, and as many pending ones. */
const fill = (file: string, count: number) =>
  Effect.gen(function* () {
    const connection = yield* SqliteFile.open(file)
    for (const done of ["1", "NULL"])
      yield* connection.runSingle(
        `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
        INSERT INTO sealwire_inbox (peer, id, name, received_at, size, text, done_at)
        SELECT 'someone', randomblob(16), 'someone', 1, 100, zeroblob(iif(${done} IS NULL, 100, 0)), ${done} FROM numbers`
      )
  })

/** The microseconds of each of some messages. */
const perMessage = async (count: number, work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return ((performance.now() - began) * 1000) / count
}

const leaseAndAcknowledge = async (inbox: MessageStore): Promise<number> => {
  let taken = 0
  const began = performance.now()
  for (let batch = 0; batch < batches; batch++) {
    const leased = await Effect.runPromise(inbox.lease({ count: 256, millis: 60_000 }))
    await Effect.runPromise(inbox.acknowledge(leased.map(({ sequence }) => sequence)))
    taken += leased.length
  }
  return ((performance.now() - began) * 1000) / Math.max(1, taken)
}

/** The longest wait of a sender, in milliseconds, while another process prunes the inbox. */
const longestWait = async (inbox: MessageStore, file: string): Promise<number> => {
  const prune = spawn(
    process.execPath,
    [command, "inbox", "prune", "--older", "1d", "--inbox", file],
    { stdio: "ignore" }
  )
  const ended = once(prune, "exit")
  let longest = 0
  while (prune.exitCode === null && prune.signalCode === null) {
    const began = performance.now()
    await Effect.runPromise(inbox.handle(messages(1), sender))
    longest = Math.max(longest, performance.now() - began)
    await sleep(sendMillis)
  }
  await ended
  return longest
}

const inbox = (stored: number): Contestant => ({
  name: `${stored} stored`,
  measure: async () => {
    // Not in /tmp, which may be in memory.
    const folder = mkdtempSync(path.join(process.cwd(), "node_modules/.inbox-"))
    const file = path.join(folder, "inbox.db")
    const measure = Effect.gen(function* () {
      const inbox = yield* SqliteStore.make(file, {})
      yield* fill(file, stored)
      return yield* Effect.promise(async () => {
        const store = await perMessage(batches * batchMessages, async () => {
          for (let batch = 0; batch < batches; batch++)
            await Effect.runPromise(inbox.handle(messages(batchMessages), sender))
        })
        const take = await leaseAndAcknowledge(inbox)
        return [store, take, await longestWait(inbox, file)]
      })
    })
    try {
      return await Effect.runPromise(Effect.scoped(measure))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
})

/** The cost of one message, by the number that the inbox (SQLite, fsync) has stored. */
export const stored: Row = {
  figures: [
    { name: "growth: stored messages, one more", unit: "us", better: "lower" },
    { name: "growth: stored messages, one leased and acknowledged", unit: "us", better: "lower" },
    { name: "growth: stored messages, longest wait during prune", unit: "ms", better: "lower" }
  ],
  rounds: 1,
  warmUp: false,
  isGrowth: true,
  contestants: [1000, 1, 100_000, 1_000_000].map((count) => inbox(operations(count)))
}
