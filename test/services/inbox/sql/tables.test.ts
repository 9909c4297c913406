// The tables in the application's database: migrations, prefix, and clients of other databases.
import { describe, expect, it } from "@effect/vitest"
import * as Migrator from "@effect/sql/Migrator"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Inbox, InboxMessages } from "../../../../src/services/inbox/Inbox.ts"
import { SqlInbox } from "../../../../src/services/inbox/sql/SqlInbox.ts"
import type { LayerOptions } from "../../../../src/services/inbox/sql/SqlDatabase.ts"
import { alice, isMissing, message } from "../stores.ts"
import { databases } from "./databases.ts"

/** Stores a message and reads it back. */
const used = (options: LayerOptions) =>
  Effect.gen(function* () {
    yield* Effect.flatMap(Inbox, ({ handle }) => handle([message("apples")], alice))
    const { list } = yield* InboxMessages
    return (yield* list({ limit: 9, textBytes: 9 })).length
  }).pipe(Effect.provide(SqlInbox.layerWith(options)))

describe.each(databases)("the tables of an inbox in %s", (kind, database) => {
  const test = (
    name: string,
    body: (client: Layer.Layer<SqlClient>) => Effect.Effect<unknown, unknown, SqlClient>
  ) =>
    it.live.skipIf(isMissing(kind))(name, () =>
      Effect.scoped(Effect.flatMap(database, (client) => Effect.provide(body(client), client)))
    )

  test("are created by a migration of the application, once", () =>
    Effect.gen(function* () {
      const loader = Migrator.fromRecord({
        "0001_orders": Effect.flatMap(SqlClient, (sql) => sql`CREATE TABLE orders (name TEXT)`),
        "0002_inbox": SqlInbox.migrate,
        "0003_inbox_again": SqlInbox.migrate
      } as never)
      expect(yield* Migrator.make({})({ loader })).toHaveLength(3)
      expect(yield* used({ migrate: false })).toBe(1)
      yield* SqlInbox.migrate
      expect(yield* used({})).toBe(2)
    }))

  test("are created by the statements of the migrations", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      for (const version of SqlInbox.migrations(kind === "SQLite" ? "sqlite" : "pg"))
        for (const statement of version) yield* sql.unsafe(statement)
      expect(yield* used({ migrate: false })).toBe(1)
      expect(yield* used({})).toBe(2)
    }))

  test("must exist for a layer that does not create them, in the version of this package", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      expect(yield* Effect.flip(used({ migrate: false }))).toMatchObject({
        _tag: "InboxUnusable",
        message:
          "cannot open the inbox SqlClient: its tables have version 0 of 3; run SqlInbox.migrate in a migration"
      })
      yield* SqlInbox.migrate
      yield* sql`INSERT INTO sealwire_schema (version) VALUES (99)`
      for (const migrate of [false, true])
        expect(yield* Effect.flip(used({ migrate }))).toMatchObject({
          _tag: "InboxUnusable",
          reason: expect.stringContaining("newer version of sealwire")
        })
    }))

  test("have names that begin with the given prefix", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient
      expect(yield* used({ prefix: "shop_" })).toBe(1)
      expect(yield* used({})).toBe(1)
      expect(yield* sql`SELECT sequence FROM shop_inbox`).toHaveLength(1)
      for (const prefix of ["", "Shop", "a b", 'x";--', "x".repeat(31)])
        expect(yield* Effect.flip(used({ prefix }))).toMatchObject({ _tag: "InboxUnusable" })
    }))

  test("are migrated once by programs that start at the same time", (client) =>
    Effect.gen(function* () {
      yield* Effect.all(
        Array.from({ length: 3 }, () => Effect.provide(SqlInbox.migrate, Layer.fresh(client))),
        { concurrency: "unbounded" }
      )
      const sql = yield* SqlClient
      expect(yield* sql`SELECT version FROM sealwire_schema`).toHaveLength(3)
    }))
})

it.effect("a client of another database is refused", () =>
  Effect.gen(function* () {
    const mysql = { onDialectOrElse: ({ orElse }: { readonly orElse: () => unknown }) => orElse() }
    const error = yield* Effect.flip(
      Effect.provideService(SqlInbox.migrate, SqlClient, mysql as unknown as SqlClient)
    )
    expect(error.message).toBe(
      "cannot open the inbox SqlClient: it is neither PostgreSQL nor SQLite; use a client of one of them"
    )
  })
)
