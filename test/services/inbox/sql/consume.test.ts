// Messages that are handled in a transaction of the application: both or neither.
import { describe, expect, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Inbox, InboxMessages } from "../../../../src/services/inbox/Inbox.ts"
import { HandlingFailed } from "../../../../src/services/inbox/Redelivery.ts"
import { SqlInbox } from "../../../../src/services/inbox/sql/SqlInbox.ts"
import type { StoredMessage } from "../../../../src/services/inbox/StoredMessage.ts"
import type { WorkEvent, WorkOptions } from "../../../../src/services/inbox/Worker.ts"
import { waitUntil, withTimeout } from "../../../../src/testing/steps.ts"
import { alice, bob, isMissing, message } from "../stores.ts"
import { databases } from "./databases.ts"

type Application = SqlClient | SqlInbox | Inbox | InboxMessages

const textOf = ({ text }: Pick<StoredMessage, "text">) => Buffer.from(text).toString()

const receive = (...texts: ReadonlyArray<string>) =>
  Effect.flatMap(Inbox, ({ handle }) =>
    handle(
      texts.map((text) => message(text)),
      alice
    )
  )

/** Stores an order, as the program of a user does. */
const order = (stored: StoredMessage) =>
  Effect.flatMap(SqlClient, (sql) => sql`INSERT INTO orders (name) VALUES (${textOf(stored)})`)

const orders = Effect.flatMap(SqlClient, (sql) =>
  Effect.map(sql<{ readonly name: string }>`SELECT name FROM orders ORDER BY name`, (rows) =>
    rows.map(({ name }) => name)
  )
)

const pending = Effect.flatMap(InboxMessages, ({ list }) =>
  Effect.map(list({ limit: 99, textBytes: 99 }), (found) => found.map(textOf))
)

/** Runs a consumer to its end; returns its events. */
const consumed = <R>(
  handle: Parameters<typeof SqlInbox.consume<R>>[0],
  options: WorkOptions = {}
) =>
  Effect.gen(function* () {
    const events: Array<WorkEvent> = []
    yield* SqlInbox.consume(handle, {
      ...options,
      on: (event) => Effect.sync(() => void events.push(event))
    })
    return events
  })

const tagsOf = (events: ReadonlyArray<WorkEvent>) => events.map(({ _tag }) => _tag)

/** Makes every message that waits for its next attempt ready at once. */
const retryNow = Effect.flatMap(InboxMessages, ({ list, retry }) =>
  Effect.flatMap(list({ limit: 99, textBytes: 0 }), (all) =>
    retry(all.map(({ sequence }) => sequence))
  )
)

describe.each(databases)("an inbox in the application's %s", (kind, database) => {
  const test = (
    name: string,
    body: (program: Layer.Layer<Application>) => Effect.Effect<unknown, unknown, Application>
  ) =>
    it.live.skipIf(isMissing(kind))(name, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const client = yield* database
          const program = Layer.orDie(Layer.provideMerge(SqlInbox.layer, client))
          yield* Effect.gen(function* () {
            const sql = yield* SqlClient
            yield* sql`CREATE TABLE orders (name TEXT PRIMARY KEY)`
            yield* body(program)
          }).pipe(Effect.provide(program))
        })
      )
    )

  test("stores the order and is done with the message in one transaction", () =>
    Effect.gen(function* () {
      yield* receive("apples", "pears")
      expect(tagsOf(yield* consumed(order))).toEqual(["Handled", "Handled"])
      expect([yield* orders, yield* pending]).toEqual([["apples", "pears"], []])
    }))

  test("stores neither when the handler fails after its statement, and tries again later", () =>
    Effect.gen(function* () {
      yield* receive("apples")
      const failing = (stored: StoredMessage) =>
        Effect.zipRight(
          order(stored),
          new HandlingFailed({ reason: "no apples today", verdict: "failed" })
        )
      const events = yield* consumed(failing)
      expect(events).toMatchObject([{ _tag: "Deferred", reason: "no apples today", failures: 1 }])
      expect([yield* orders, yield* pending]).toEqual([[], ["apples"]])
      yield* retryNow
      yield* consumed(order)
      expect([yield* orders, yield* pending]).toEqual([["apples"], []])
    }))

  test("stores neither when the handler dies", () =>
    Effect.gen(function* () {
      yield* receive("apples")
      const events = yield* consumed((stored) =>
        Effect.zipRight(order(stored), Effect.die(new Error("a bug")))
      )
      expect(events).toMatchObject([{ _tag: "Deferred", reason: "the handler died: a bug" }])
      expect([yield* orders, yield* pending]).toEqual([[], ["apples"]])
    }))

  test("makes a dead letter of a message whose statement fails each time", () =>
    Effect.gen(function* () {
      yield* receive("apples", "apples", "pears")
      const events = yield* consumed(order, { attempts: 1 })
      expect(tagsOf(events)).toEqual(["Handled", "Dead", "Handled"])
      expect(events[1]).toMatchObject({
        reason: expect.stringMatching(/^a statement failed: .*orders/)
      })
      expect([yield* orders, yield* pending]).toEqual([["apples", "pears"], []])
    }))

  test("handles each message once with several consumers", (program) =>
    Effect.gen(function* () {
      const texts = Array.from({ length: 30 }, (_, index) => `order ${index + 10}`)
      yield* receive(...texts)
      const handled: Array<string> = []
      const consumer = SqlInbox.consume(
        (stored) => Effect.zipRight(order(stored), Effect.sleep(2)),
        {
          concurrency: 3,
          order: "none",
          wait: true,
          on: (event) =>
            Effect.sync(() => {
              if (event._tag === "Handled") handled.push(textOf(event.message))
            })
        }
      )
      yield* Effect.raceFirst(
        waitUntil("the messages", () => handled.length >= texts.length),
        Effect.all([consumer, Effect.provide(consumer, program)], { concurrency: 2 })
      )
      expect(handled.toSorted()).toEqual(texts)
      expect([yield* orders, yield* pending]).toEqual([texts, []])
    }))

  test("keeps the message of a handler that outlasts its lease", () =>
    Effect.gen(function* () {
      yield* receive("apples", "pears")
      const slowly = (stored: StoredMessage) => Effect.zipRight(order(stored), Effect.sleep(700))
      const events = yield* consumed(slowly, { lease: "200 millis", order: "strict" })
      expect(tagsOf(events)).toEqual(["Handled", "Handled"])
      expect([yield* orders, yield* pending]).toEqual([["apples", "pears"], []])
    }))

  test("rolls back when it is stopped, and releases the message", () =>
    Effect.gen(function* () {
      yield* receive("apples")
      const stored = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        SqlInbox.consume((message) =>
          order(message).pipe(
            Effect.zipRight(Deferred.succeed(stored, undefined)),
            Effect.zipRight(Effect.never)
          )
        )
      )
      yield* withTimeout("the order", Deferred.await(stored))
      yield* withTimeout("the end of the consumer", Fiber.interrupt(fiber))
      expect([yield* orders, yield* pending]).toEqual([[], ["apples"]])
      yield* consumed(order)
      expect([yield* orders, yield* pending]).toEqual([["apples"], []])
    }))

  test("stores received messages in a transaction of the application, or not", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const audited = Effect.zipRight(
        receive("apples"),
        sql`INSERT INTO orders (name) VALUES ('audit')`
      )
      yield* Effect.ignore(sql.withTransaction(Effect.zipRight(audited, Effect.fail("no"))))
      expect([yield* orders, yield* pending]).toEqual([[], []])
      yield* sql.withTransaction(audited)
      expect([yield* orders, yield* pending]).toEqual([["audit"], ["apples"]])
    }))

  test("stores messages of a transaction apart from those that arrive meanwhile", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const theirs = Array.from({ length: 2000 }, (_, index) => `order ${index}`)
      const mine = sql.withTransaction(Effect.zipRight(receive("mine"), Effect.fail("no")))
      yield* Effect.all([receive(...theirs), Effect.ignore(mine)], { concurrency: 2 })
      const rows = yield* sql`SELECT sequence FROM sealwire_inbox WHERE size = 4`
      const { depth } = yield* InboxMessages
      expect([rows.length, (yield* depth).messages]).toEqual([0, 2000])
    }))

  test("acknowledges in a transaction of the application, or not", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* receive("apples")
      const { lease, acknowledge } = yield* InboxMessages
      const [leased] = yield* lease({ count: 1, millis: 60_000 })
      const done = acknowledge([leased?.sequence ?? 0])
      yield* Effect.ignore(sql.withTransaction(Effect.zipRight(done, Effect.fail("no"))))
      expect(yield* pending).toEqual(["apples"])
      yield* sql.withTransaction(done)
      expect(yield* pending).toEqual([])
    }))

  test("handles received messages once, in the transaction of the receipt", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const [apples, pears] = [message("apples"), message("pears")]
      const calls: Array<ReadonlyArray<string>> = []
      const handle = SqlInbox.receive((messages, { peer }) => {
        calls.push(messages.map((received) => `${peer} ${textOf(received)}`))
        return Effect.forEach(
          messages,
          ({ text }) =>
            sql`INSERT INTO orders (name) VALUES (${peer + Buffer.from(text).toString()})`
        )
      })
      const sent = (some: ReadonlyArray<typeof apples>, sender = alice) => handle(some, sender)
      yield* sent([apples])
      yield* sent([apples, pears, pears])
      yield* sent([pears])
      yield* sent([pears], bob)
      expect(calls).toEqual([["alice apples"], ["alice pears"], ["bob pears"]])
      expect([yield* orders, yield* pending]).toEqual([
        ["aliceapples", "alicepears", "bobpears"],
        []
      ])
    }))

  test("receives nothing when the handler fails, and everything when it is sent again", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      const apples = [message("apples")]
      const insert = sql`INSERT INTO orders (name) VALUES ('apples')`
      const failing = SqlInbox.receive(() => Effect.zipRight(insert, Effect.fail("full" as const)))
      expect(yield* Effect.flip(failing(apples, alice))).toBe("full")
      expect(yield* orders).toEqual([])
      yield* SqlInbox.receive(() => insert)(apples, alice)
      expect(yield* orders).toEqual(["apples"])
      // Another message whose statement fails.
      const refused = SqlInbox.receive(() => insert)([message("x")], alice)
      expect(yield* Effect.flip(refused)).toMatchObject({
        _tag: "MessageRefused",
        retry: false,
        reason: expect.stringContaining("a statement failed")
      })
    }))

  test("handles a message once that two sessions bring at the same time", (program) =>
    Effect.gen(function* () {
      const apples = [message("apples")]
      const calls: Array<number> = []
      const handle = (nth: number) =>
        SqlInbox.receive(() =>
          Effect.zipRight(
            Effect.sync(() => calls.push(nth)),
            Effect.sleep(30)
          )
        )(apples, alice)
      yield* Effect.all(
        [handle(1), handle(2), kind === "SQLite" ? handle(3) : Effect.provide(handle(3), program)],
        {
          concurrency: 3
        }
      )
      expect(calls.length).toBe(1)
    }))
})

const [, postgres] = databases.find(([name]) => name === "PostgreSQL") as (typeof databases)[number]

describe("an inbox in the application's PostgreSQL alone", () => {
  const kind = "PostgreSQL"
  const test = (name: string, body: Effect.Effect<unknown, unknown, Application>) =>
    it.live.skipIf(isMissing(kind))(name, () =>
      Effect.scoped(
        Effect.flatMap(postgres, (client) =>
          Effect.provide(body, Layer.orDie(Layer.provideMerge(SqlInbox.layer, client)))
        )
      )
    )

  test(
    "rolls back when another consumer has taken the message meanwhile",
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`CREATE TABLE orders (name TEXT PRIMARY KEY)`
      yield* receive("apples")
      const events = yield* consumed((stored) =>
        Effect.gen(function* () {
          yield* order(stored)
          // Another connection: this fiber is in a transaction.
          yield* Effect.promise(() =>
            Effect.runPromise(sql`UPDATE sealwire_inbox SET taken_by = 'other', attempts = 9`)
          )
        })
      )
      expect(tagsOf(events)).toEqual(["LeaseLost"])
      expect([yield* orders, yield* pending]).toEqual([[], ["apples"]])
    })
  )

  test(
    "does not lose a message whose COMMIT fails",
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`CREATE TABLE customers (name TEXT PRIMARY KEY)`
      yield* sql`CREATE TABLE orders (name TEXT PRIMARY KEY REFERENCES customers DEFERRABLE INITIALLY DEFERRED)`
      yield* receive("nobody")
      const events = yield* consumed(order)
      expect(events).toMatchObject([
        {
          _tag: "Deferred",
          reason: expect.stringContaining("a statement failed: insert or update")
        }
      ])
      expect([yield* orders, yield* pending]).toEqual([[], ["nobody"]])
    })
  )

  test(
    "gives no receipt for a transaction that PostgreSQL has given up",
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* sql`CREATE TABLE orders (name TEXT PRIMARY KEY)`
      const careless = SqlInbox.receive(() => Effect.ignore(sql`SELECT no_such_column`))
      expect(yield* Effect.flip(careless([message("apples")], alice))).toMatchObject({
        _tag: "MessageRefused",
        reason: expect.stringContaining("transaction is aborted")
      })
      yield* receive("apples")
      const events = yield* consumed(() => Effect.ignore(sql`SELECT no_such_column`), {
        attempts: 1
      })
      expect(tagsOf(events)).toEqual(["Dead"])
    })
  )

  test(
    "does not count attempts that met another transaction",
    Effect.gen(function* () {
      const sql = yield* SqlClient
      yield* receive("apples")
      const events = yield* consumed(
        () => sql`DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$`,
        { attempts: 1 }
      )
      expect(events).toMatchObject([{ _tag: "Deferred", failures: 0 }])
    })
  )
})
