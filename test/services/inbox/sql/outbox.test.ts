// Messages that are sent when the transaction that stored them is committed.
import { describe, expect, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Hex from "../../../../src/bytes/Hex.ts"
import { bytesOf } from "../../../../src/services/inbox/InboxTable.ts"
import { OutboxFailed } from "../../../../src/services/inbox/OutboxErrors.ts"
import { deliver } from "../../../../src/services/inbox/sql/delivering.ts"
import { SqlOutbox } from "../../../../src/services/inbox/sql/SqlOutbox.ts"
import { limits, type OutboxStatements } from "../../../../src/services/inbox/sql/outboxTables.ts"
import type { Delivery } from "../../../../src/services/messages/Delivery.ts"
import { MessageRefused, service } from "../../../../src/services/messages/MessageService.ts"
import * as Server from "../../../../src/services/Server.ts"
import { pause, waitUntil, withTimeout } from "../../../../src/testing/steps.ts"
import * as Address from "../../../../src/transports/Address.ts"
import { Transport } from "../../../../src/transports/index.ts"
import { dialKeys, serverKeys, suiteOf } from "../../../channel/rig.ts"
import * as Postgres from "../Postgres.ts"
import { isMissing } from "../stores.ts"
import { databases } from "./databases.ts"

const keys = dialKeys(suiteOf("IK"))
const bytes = (...texts: ReadonlyArray<string>) => texts.map((text) => Buffer.from(text))

/** A server that records the texts and ids that it handles; `refuse` decides about each text. */
const listening = (
  refuse: (text: string) => MessageRefused | undefined = () => undefined,
  port = 0
) =>
  Effect.gen(function* () {
    const handled: Array<string> = []
    const ids: Array<string> = []
    const { address } = yield* Server.listen({
      address: Address.tcp("127.0.0.1", port),
      keys: serverKeys,
      services: [
        service((messages) =>
          Effect.gen(function* () {
            for (const [index, { id, text }] of messages.entries()) {
              const refusal = refuse(text.toString())
              if (refusal !== undefined)
                return yield* new MessageRefused({ ...refusal, handled: index })
              handled.push(text.toString())
              ids.push(Hex.encode(id))
            }
          })
        )
      ]
    })
    return { address, handled, ids, to: { address, keys } }
  })

describe.each(databases)("an outbox in the application's %s", (kind, database) => {
  const test = (
    name: string,
    body: (
      program: Layer.Layer<SqlClient | SqlOutbox>
    ) => Effect.Effect<unknown, unknown, SqlClient | SqlOutbox | Transport | Scope.Scope>
  ) =>
    it.scopedLive.skipIf(isMissing(kind))(name, () =>
      Effect.gen(function* () {
        const client = yield* database
        const program = Layer.orDie(Layer.provideMerge(SqlOutbox.layer, client))
        yield* Effect.provide(body(program), Layer.merge(program, Transport.layerMemory()))
      })
    )

  test("sends what is committed, in order, and nothing that is rolled back", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const { handled, to } = yield* listening()
      yield* sql`CREATE TABLE orders (name TEXT PRIMARY KEY)`
      const ordered = (name: string) =>
        sql.withTransaction(
          Effect.zipRight(
            SqlOutbox.enqueue(bytes(name)),
            sql`INSERT INTO orders (name) VALUES (${name})`
          )
        )
      yield* ordered("apples")
      yield* Effect.flip(ordered("apples"))
      yield* ordered("pears")
      expect(yield* SqlOutbox.pending()).toBe(2)
      yield* withTimeout("the delivery", SqlOutbox.deliver(to))
      expect(handled).toEqual(["apples", "pears"])
      expect(yield* SqlOutbox.pending()).toBe(0)
    }))

  test("connects to nobody when nothing is pending", () =>
    SqlOutbox.deliver({ address: Address.tcp("127.0.0.1", 1), keys }))

  test("stores many messages together or not at all", () =>
    Effect.gen(function* () {
      const texts = Array.from({ length: 1200 }, (_, index) => `order ${index}`)
      const { handled, to } = yield* listening()
      yield* SqlOutbox.enqueue(bytes(...texts))
      yield* withTimeout("the delivery", SqlOutbox.deliver(to))
      expect(handled).toEqual(texts)
    }))

  test("keeps ids and order across deliverers until the receipt", () =>
    Effect.gen(function* () {
      let isFull = true
      const { handled, ids, to } = yield* listening((text) =>
        isFull && text === "pears" ? new MessageRefused({ reason: "full", retry: true }) : undefined
      )
      yield* SqlOutbox.enqueue(bytes("apples", "pears", "plums"))
      const retry = { deadline: 0, includesFirstAttempt: false }
      const error = yield* withTimeout(
        "the refusal",
        Effect.flip(SqlOutbox.deliver({ ...to, retry }))
      )
      expect(error).toMatchObject({ _tag: "NotTaken", status: "later" })
      expect([handled, yield* SqlOutbox.pending()]).toEqual([["apples"], 2])
      isFull = false
      yield* withTimeout("the delivery", SqlOutbox.deliver(to))
      expect([handled, new Set(ids).size]).toEqual([["apples", "pears", "plums"], 3])
    }))

  test("sends a message again under its id when its receipt was not stored", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const { ids, to } = yield* listening()
      yield* SqlOutbox.enqueue(bytes("apples"))
      const rows = yield* sql`SELECT * FROM sealwire_outbox_messages`.withoutTransform
      yield* SqlOutbox.deliver(to)
      // As after a crash between the receipt and the deletion.
      const { outbox, id, created_at, size, text } = rows[0] as Record<string, unknown>
      yield* sql.unsafe(
        `INSERT INTO sealwire_outbox_messages (outbox, id, created_at, size, text) VALUES ${kind === "SQLite" ? "(?,?,?,?,?)" : "($1,$2,$3,$4,$5)"}`,
        [outbox, Buffer.from(bytesOf(id)), created_at, size, Buffer.from(bytesOf(text))]
      )
      yield* SqlOutbox.deliver(to)
      expect(ids[1]).toBe(ids[0])
    }))

  test("stays where it is when the server refuses a message for ever", () =>
    Effect.gen(function* () {
      const { handled, to } = yield* listening((text) =>
        text === "pears" ? new MessageRefused({ reason: "no pears" }) : undefined
      )
      yield* SqlOutbox.enqueue(bytes("apples", "pears", "plums"))
      const error = yield* withTimeout(
        "the refusal",
        Effect.flip(SqlOutbox.deliver({ ...to, wait: true }))
      )
      expect(error).toMatchObject({ _tag: "NotTaken", status: "refused" })
      expect([handled, yield* SqlOutbox.pending()]).toEqual([["apples"], 2])
    }))

  test("has an order for each server", () =>
    Effect.gen(function* () {
      const [orders, bills] = [yield* listening(), yield* listening()]
      yield* SqlOutbox.enqueue(bytes("apples"))
      yield* SqlOutbox.enqueue(bytes("3 EUR"), { outbox: "bills" })
      yield* SqlOutbox.deliver(orders.to)
      yield* SqlOutbox.deliver({ ...bills.to, outbox: "bills" })
      expect([orders.handled, bills.handled]).toEqual([["apples"], ["3 EUR"]])
    }))

  test("waits for new messages, and for a server that is away", () =>
    Effect.gen(function* () {
      const first = yield* Effect.scoped(listening())
      const port = (first.address as { readonly port: number }).port
      const fiber = yield* Effect.fork(SqlOutbox.deliver({ ...first.to, wait: true }))
      yield* pause(300)
      yield* SqlOutbox.enqueue(bytes("apples"))
      yield* pause(300)
      const { handled } = yield* listening(undefined, port)
      yield* waitUntil("the message", () => handled.length === 1)
      yield* SqlOutbox.enqueue(bytes("pears"))
      yield* waitUntil("the next message", () => handled.length === 2)
      yield* withTimeout("the end", Fiber.interrupt(fiber))
    }))

  test("is delivered by one process at a time, and another takes over", (program) =>
    Effect.gen(function* () {
      const { handled, ids, to } = yield* listening()
      const deliverer = SqlOutbox.deliver({ ...to, wait: true })
      const first = yield* Effect.fork(deliverer)
      const second = yield* Effect.fork(Effect.provide(deliverer, Layer.fresh(program)))
      for (let nth = 0; nth < 20; nth++) yield* SqlOutbox.enqueue(bytes(`order ${nth}`))
      yield* waitUntil("the messages", () => handled.length >= 20)
      yield* Fiber.interrupt(first)
      yield* SqlOutbox.enqueue(bytes("last"))
      yield* waitUntil("the last message", () => handled.at(-1) === "last")
      yield* Fiber.interrupt(second)
      expect(handled).toEqual([...Array.from({ length: 20 }, (_, nth) => `order ${nth}`), "last"])
      expect(new Set(ids).size).toBe(21)
    }))
})

const [, postgres] = databases.find(([name]) => name === "PostgreSQL") as (typeof databases)[number]

it.scopedLive.skipIf(!Postgres.available)(
  "a message is not lost that commits after a later one was delivered",
  () =>
    Effect.gen(function* () {
      const program = Layer.orDie(Layer.provideMerge(SqlOutbox.layer, yield* postgres))
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient
        const { handled, to } = yield* listening()
        const fiber = yield* Effect.fork(SqlOutbox.deliver({ ...to, wait: true }))
        const slow = SqlOutbox.enqueue(bytes("first")).pipe(
          Effect.zipRight(waitUntil("the later message", () => handled.length > 0)),
          sql.withTransaction
        )
        const later = Effect.zipRight(pause(100), SqlOutbox.enqueue(bytes("second")))
        yield* Effect.all([slow, later], { concurrency: 2 })
        yield* waitUntil("both", () => handled.length === 2)
        expect(handled).toEqual(["second", "first"])
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(Layer.merge(program, Transport.layerMemory())))
    })
)

describe("a deliverer", () => {
  /** A table in memory, with a turn that the test gives. */
  const table = (turns: ReadonlyArray<boolean>, outages = 0) => {
    const [left, failures] = [[...turns], { count: outages }]
    const messages = [{ sequence: 1, id: new Uint8Array(16), text: Buffer.from("apples") }]
    return {
      failed: () => new OutboxFailed({ outbox: "x", reason: "away", retry: true }),
      store: () => Effect.die("not used"),
      read: Effect.suspend(() =>
        failures.count-- > 0
          ? new OutboxFailed({ outbox: "x", reason: "away", retry: true })
          : Effect.succeed([...messages])
      ),
      remove: () => Effect.sync(() => messages.splice(0)),
      pending: Effect.sync(() => messages.length),
      takeTurn: () => Effect.sync(() => left.shift() ?? false),
      endTurn: () => Effect.succeed([])
    } as unknown as OutboxStatements
  }

  it.effect("stops when its turn is lost", () =>
    Effect.gen(function* () {
      let isStopped = false
      const run = () =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => (isStopped = true)))
      const fiber = yield* Effect.fork(deliver(table([true, true, false]), run, true))
      yield* TestClock.adjust(limits.turnMillis)
      expect(isStopped).toBe(true)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("outlasts a database that is away for a while", () =>
    Effect.gen(function* () {
      const offered: Array<number> = []
      const run = (delivery: Delivery) =>
        Effect.zipRight(
          Effect.sync(() => offered.push(delivery.offered)),
          Effect.never
        )
      const fiber = yield* Effect.fork(deliver(table(Array(20).fill(true), 3), run, true))
      yield* TestClock.adjust("10 seconds")
      expect(offered).toHaveLength(1)
      yield* Fiber.interrupt(fiber)
    })
  )
})
