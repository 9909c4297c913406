// Orders and their messages in one transaction, on both sides.
//   node --import tsx examples/outbox/main.ts
// It needs PostgreSQL (DATABASE_URL, default postgres://root@127.0.0.1:5432/postgres), and creates
// and drops two schemas there.
import { deepStrictEqual } from "node:assert/strict"
import { randomBytes } from "node:crypto"
import * as PgClient from "@effect/sql-pg/PgClient"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import {
  Address,
  Credentials,
  HandlingFailed,
  Inbox,
  KeyStore,
  MessageService,
  Server,
  SharedKey,
  Transport
} from "sealwire"
import { SqlInbox, SqlOutbox } from "sealwire/sql"

const databaseUrl = process.env.DATABASE_URL ?? "postgres://root@127.0.0.1:5432/postgres"

/** The database of one program: a schema of its own, which is dropped at the end. */
const databaseOf = (program: string) => {
  const schema = `sealwire_example_${program}_${randomBytes(4).toString("hex")}`
  const url = new URL(databaseUrl)
  url.searchParams.set("options", `-c search_path=${schema}`)
  const client = PgClient.layer({ url: Redacted.make(url.href) })
  const created = Layer.scopedDiscard(
    Effect.flatMap(SqlClient, (sql) =>
      Effect.acquireRelease(sql`CREATE SCHEMA ${sql(schema)}`, () =>
        Effect.ignore(sql`DROP SCHEMA ${sql(schema)} CASCADE`)
      )
    )
  )
  return Layer.provideMerge(created, client)
}

class OutOfStock extends Data.TaggedError("OutOfStock")<{ readonly item: string }> {}

/** The shop: an order is stored with the message about it, or neither is. */
const placeOrder = Effect.fn("placeOrder")(function* (item: string) {
  const sql = yield* SqlClient
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`INSERT INTO orders (item) VALUES (${item})`
      yield* SqlOutbox.enqueue([Buffer.from(item)])
      if (item === "unicorns") return yield* new OutOfStock({ item })
    })
  )
})

const address = Address.unix(`/tmp/sealwire-outbox-${process.pid}.sock`)

const ShopLive = Layer.provideMerge(SqlOutbox.layer, databaseOf("shop"))

const shop = Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE orders (item TEXT PRIMARY KEY)`
  yield* placeOrder("apples")
  yield* Effect.flip(placeOrder("unicorns"))
  yield* placeOrder("pears")
  console.log(`shop       ${yield* SqlOutbox.pending()} messages wait for the warehouse`)
  // Sends what is committed until the program ends: a server that is away is no error.
  return yield* SqlOutbox.deliver({ address, keys: Credentials.sharedKey, wait: true })
})

/** The warehouse: a receipt means that the message is in its own database. */
const ServerLive = Server.layer({
  address,
  keys: Server.sharedKey,
  services: [
    MessageService.service((messages, sender) =>
      Effect.flatMap(Inbox.handle, (handle) => handle(messages, sender))
    )
  ]
})
const WarehouseLive = Layer.provideMerge(
  ServerLive,
  Layer.provideMerge(SqlInbox.layer, databaseOf("warehouse"))
)

const warehouse = Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE shipments (item TEXT PRIMARY KEY)`
  let attempts = 0
  // A shipment is stored and its message is done, or neither: the first attempt fails after INSERT.
  const worker = SqlInbox.consume(
    ({ text }) =>
      Effect.gen(function* () {
        yield* sql`INSERT INTO shipments (item) VALUES (${Buffer.from(text).toString()})`
        if (++attempts === 1)
          return yield* new HandlingFailed({ reason: "no label printed", verdict: "failed" })
      }),
    { wait: true }
  )
  const shipments = Effect.map(
    sql<{ readonly item: string }>`SELECT item FROM shipments ORDER BY item`,
    (rows) => rows.map(({ item }) => item)
  )
  const both = Effect.repeat(shipments, {
    until: ({ length }) => length === 2,
    schedule: Schedule.spaced("100 millis")
  })
  yield* Effect.raceFirst(worker, Effect.timeout(both, "20 seconds"))
  deepStrictEqual(yield* shipments, ["apples", "pears"])
  console.log(`warehouse  ${attempts} attempts, 2 shipments, and none of unicorns`)
})

const main = Effect.raceFirst(
  Effect.provide(shop, ShopLive),
  Effect.provide(warehouse, WarehouseLive)
)

const KeysLive = KeyStore.layerMemory().pipe(KeyStore.creating(SharedKey))
await main.pipe(Effect.provide([KeysLive, Transport.layerNet]), Effect.runPromise)
