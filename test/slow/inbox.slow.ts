// What an inbox has acknowledged is stored, however often its server or its database is lost.
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import { Inbox } from "../../src/services/inbox/Inbox.ts"
import * as PostgresInbox from "../../src/services/inbox/PostgresInbox.ts"
import * as SqliteInbox from "../../src/services/inbox/SqliteInbox.ts"
import { expectStored, idsIn, killRepeatedly } from "../cli/Resender.ts"
import { it } from "../cli/Sealwire.ts"
import * as Postgres from "../services/inbox/Postgres.ts"

describe.skipIf(!Postgres.available)("a connection to PostgreSQL that is cut silently", () => {
  it("refuses with retry within 20 seconds, and recovers", async () => {
    const { url, drop } = await Postgres.schema()
    const way = await Postgres.proxyTo(url)
    const sender = { peer: "alice", from: "127.0.0.1:1", publicKey: undefined, suite: "NNpsk0" }
    const store = Effect.flatMap(Inbox, (inbox) =>
      inbox.handle([{ id: randomBytes(16), text: Buffer.from("text") }], sender)
    )
    await Effect.gen(function* () {
      yield* store
      way.hold()
      const error = yield* Effect.flip(Effect.timeout(Effect.disconnect(store), "20 seconds"))
      expect(error).toMatchObject({ _tag: "InboxRefused", retry: true })
      way.open()
      yield* Effect.retry(store, { times: 2 })
    }).pipe(Effect.provide(PostgresInbox.layer(way.url)), Effect.runPromise)
    way.close()
    await drop()
  })
})

describe("a server that is killed fifty times while messages flow", () => {
  it("stores each acknowledged message once in its SQLite inbox", async ({ box }) => {
    const clients = await killRepeatedly(box, "./inbox.db", 50)
    expectStored(await idsIn(SqliteInbox.layer(box.path("inbox.db"))), clients)
  })

  it.skipIf(!Postgres.available)(
    "stores each acknowledged message once in PostgreSQL",
    async ({ box }) => {
      const { url, drop } = await Postgres.schema()
      box.defer(drop)
      const clients = await killRepeatedly(box, "env:INBOX", 50, { INBOX: url.href })
      expectStored(await idsIn(PostgresInbox.layer(url)), clients)
    }
  )
})
