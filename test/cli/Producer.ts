// A producer of lines whose `send --outbox` is killed again and again.
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { InboxMessages } from "../../src/services/inbox/Inbox.ts"
import * as SqliteInbox from "../../src/services/inbox/SqliteInbox.ts"
import { eventsOf, type Box, type Running } from "./Sealwire.ts"

const socket = "unix:./s.sock"
const sending = [
  "send",
  "--lines",
  "--json",
  "--to",
  socket,
  "--outbox",
  "./outbox.db",
  "--retry",
  "1m"
]

/**
 * Kills `send`, and every third time the server, at random times while lines go into a SQLite
 * inbox. Expects every line that was reported as stored in the inbox once, no line twice, and the
 * lines of each run in their order.
 */
export const expectDeliveredOnce = async (box: Box, kills: number): Promise<void> => {
  const serve = async () => {
    return box.listen(["serve", "--listen", socket, "--inbox", "./inbox.db"])
  }
  box.useProcesses()
  let server = await serve()
  const queued: Array<string> = []
  const queuedBy = ({ stdout }: Running) =>
    Number(eventsOf(stdout).findLast(({ event }) => event === "messages-queued")?.messages ?? 0)
  for (let run = 0; run < kills; run++) {
    const sender = box.start(sending, { stdin: "open" })
    let flowing = true
    const feed = async () => {
      for (let line = 0; flowing; line += 40) {
        sender.type(Array.from({ length: 40 }, (_, index) => `${run} ${line + index}\n`).join(""))
        await sleep(5)
      }
    }
    const feeding = feed()
    await sender.until("a stored line", (it) => queuedBy(it) > 0)
    await sleep(Math.random() * 300)
    if (run % 3 === 2) await server.crash()
    await sender.crash()
    flowing = false
    await feeding
    queued.push(...Array.from({ length: queuedBy(sender) }, (_, line) => `${run} ${line}`))
    if (run % 3 === 2) server = await serve()
  }
  const last = await box.start(sending.filter((word) => word !== "--lines")).ended(60_000)
  expect([last.code, last.stderr]).toEqual([0, ""])
  const stored = await Effect.flatMap(InboxMessages, (messages) =>
    messages.list({ limit: 10_000_000, textBytes: 100 })
  ).pipe(Effect.provide(SqliteInbox.layer(box.path("inbox.db"))), Effect.runPromise)
  const lines = stored.map(({ text }) => Buffer.from(text).toString())
  const delivered = new Set(lines)
  expect(delivered.size).toBe(lines.length)
  expect(queued.length).toBeGreaterThan(kills)
  expect(queued.filter((line) => !delivered.has(line))).toEqual([])
  for (let run = 0; run < kills; run++) {
    const numbers = lines
      .filter((line) => line.startsWith(`${run} `))
      .map((line) => Number(line.split(" ")[1]))
    expect(numbers).toEqual(numbers.map((_, index) => index))
  }
}
