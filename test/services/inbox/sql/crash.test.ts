// A program that is killed between two statements of its transaction.
import { spawn } from "node:child_process"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Inbox, InboxMessages } from "../../../../src/services/inbox/Inbox.ts"
import { SqlInbox } from "../../../../src/services/inbox/sql/SqlInbox.ts"
import { pause } from "../../../../src/testing/steps.ts"
import { alice, isMissing, message } from "../stores.ts"
import { clientOf } from "./clients.ts"
import { locations } from "./databases.ts"

const crashed = (action: string, location: string) =>
  Effect.promise(
    () =>
      new Promise((done) =>
        spawn(
          process.execPath,
          ["--import", "tsx", path.join(import.meta.dirname, "crashing.ts"), action, location],
          { stdio: ["ignore", "inherit", "inherit"] }
        ).once("close", (_, signal) => done(signal))
      )
  )

const insert = Effect.flatMap(SqlClient, (sql) => sql`INSERT INTO orders (name) VALUES ('apples')`)
const orders = Effect.flatMap(SqlClient, (sql) =>
  Effect.map(sql`SELECT name FROM orders`, ({ length }) => length)
)
const pending = Effect.flatMap(InboxMessages, ({ depth }) =>
  Effect.map(depth, ({ messages }) => messages)
)

describe.each(locations)(
  "a program with an inbox in %s that is killed in its transaction",
  (kind, create) => {
    const test = (
      name: string,
      body: (
        location: string
      ) => Effect.Effect<unknown, unknown, SqlClient | SqlInbox | Inbox | InboxMessages>
    ) =>
      it.live.skipIf(isMissing(kind))(
        name,
        () =>
          Effect.scoped(
            Effect.flatMap(create, (location) =>
              Effect.zipRight(
                Effect.flatMap(
                  SqlClient,
                  (sql) => sql`CREATE TABLE orders (name TEXT PRIMARY KEY)`
                ),
                body(location)
              ).pipe(Effect.provide(Layer.provideMerge(SqlInbox.layer, clientOf(location))))
            )
          ),
        60_000
      )

    test("has stored neither order nor acknowledgement, and the next consumer stores both", (location) =>
      Effect.gen(function* () {
        yield* Effect.flatMap(Inbox, ({ handle }) => handle([message("apples")], alice))
        expect(yield* crashed("consume", location)).toBe("SIGKILL")
        expect([yield* orders, yield* pending]).toEqual([0, 1])
        yield* pause(200)
        yield* SqlInbox.consume(() => insert)
        expect([yield* orders, yield* pending]).toEqual([1, 0])
      }))

    test("has received nothing, and handles the message when it is sent again", (location) =>
      Effect.gen(function* () {
        expect(yield* crashed("receive", location)).toBe("SIGKILL")
        expect(yield* orders).toBe(0)
        const again = [message("apples", new Uint8Array(16))]
        yield* SqlInbox.receive(() => insert)(again, alice)
        yield* SqlInbox.receive(() => insert)(again, alice)
        expect(yield* orders).toBe(1)
      }))
  }
)
