// An inbox of an earlier version opens: its messages, leases and records of duplicates are kept.
import { randomBytes } from "node:crypto"
import { chmodSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import Database from "libsql"
import { senderId } from "../../../src/services/messages/MessageHandler.ts"
import { Inbox, InboxMessages } from "../../../src/services/inbox/Inbox.ts"
import * as PostgresInbox from "../../../src/services/inbox/PostgresInbox.ts"
import * as SqliteInbox from "../../../src/services/inbox/SqliteInbox.ts"
import { failuresOf } from "../../../src/services/inbox/StoredMessage.ts"
import * as Postgres from "./Postgres.ts"
import { alice, schema, type Keeping } from "./stores.ts"
import { scopedFolder } from "../../fixtures/folder.ts"

/** The tables of version 1, as version 0.1.0 of the program made them in July 2026. */
const version1 = (sequence: string, integer: string, bytes: string) => [
  `CREATE TABLE sealwire_schema (version ${integer} NOT NULL)`,
  "INSERT INTO sealwire_schema (version) VALUES (1)",
  `CREATE TABLE sealwire_inbox (
    sequence ${sequence},
    peer TEXT NOT NULL,
    id ${bytes} NOT NULL,
    name TEXT NOT NULL,
    received_at ${integer} NOT NULL,
    size ${integer} NOT NULL,
    text ${bytes} NOT NULL,
    lease_until ${integer} NOT NULL DEFAULT 0,
    taken_by TEXT,
    attempts ${integer} NOT NULL DEFAULT 0,
    done_at ${integer},
    UNIQUE (id, peer)
  )`,
  "CREATE INDEX sealwire_inbox_waiting ON sealwire_inbox (sequence) WHERE done_at IS NULL"
]

/** A row of version 1: `bytes` writes a column of bytes. */
const row = (
  bytes: (hex: string) => string,
  id: Buffer,
  text: string,
  { leaseUntil = 0, takenBy = "NULL", attempts = 0, doneAt = "NULL" }
): string =>
  `INSERT INTO sealwire_inbox (peer, id, name, received_at, size, text, lease_until, taken_by, attempts, done_at)
  VALUES ('${senderId(alice)}', ${bytes(id.toString("hex"))}, 'alice', ${Date.now()}, ${text.length},
    ${bytes(Buffer.from(text).toString("hex"))}, ${leaseUntil}, ${takenBy}, ${attempts}, ${doneAt})`

const acknowledged = randomBytes(16)
const hour = 3_600_000

const rows = (bytes: (hex: string) => string): ReadonlyArray<string> => [
  // Released forty times by a worker whose command failed.
  row(bytes, randomBytes(16), "released", { takenBy: "'consumer'", attempts: 40 }),
  row(bytes, randomBytes(16), "fresh", {}),
  row(bytes, randomBytes(16), "leased", {
    leaseUntil: Date.now() + hour,
    takenBy: "'other'",
    attempts: 1
  }),
  row(bytes, acknowledged, "", { takenBy: "'consumer'", attempts: 1, doneAt: String(Date.now()) })
]

const stores: ReadonlyArray<
  readonly [
    name: string,
    open: Effect.Effect<
      { readonly layer: Keeping; readonly run: (statement: string) => Promise<unknown> },
      never,
      Scope.Scope
    >,
    columns: readonly [sequence: string, integer: string, bytes: string],
    bytes: (hex: string) => string
  ]
> = [
  [
    "SQLite",
    Effect.map(scopedFolder, (folder) => {
      const file = path.join(folder, "inbox.db")
      const run = (statement: string) => {
        const database = new Database(file)
        chmodSync(file, 0o600)
        if (statement.startsWith("SELECT")) {
          const found = database.prepare(statement).all([])
          database.close()
          return Promise.resolve(found)
        }
        database.exec(statement)
        database.close()
        return Promise.resolve([])
      }
      return { layer: SqliteInbox.layer(file), run }
    }),
    ["INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER", "BLOB"],
    (hex) => `x'${hex}'`
  ],
  [
    "PostgreSQL",
    Effect.map(schema, (url) => ({
      layer: PostgresInbox.layer(url),
      run: (statement: string) => Postgres.query(url, statement)
    })),
    ["BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BIGINT", "BYTEA"],
    (hex) => `'\\x${hex}'::bytea`
  ]
]
const isMissing = (store: string) => store === "PostgreSQL" && !Postgres.available

/** What each later version of before had in addition. */
const additions: ReadonlyArray<readonly [version: number, statements: ReadonlyArray<string>]> = [
  [1, []],
  [
    2,
    [
      "CREATE INDEX sealwire_inbox_done ON sealwire_inbox (done_at) WHERE done_at IS NOT NULL",
      "INSERT INTO sealwire_schema (version) VALUES (2)"
    ]
  ]
]

const inboxes = stores.flatMap((store) =>
  additions.map(([version, added]) => [...store, version, added] as const)
)

describe.each(inboxes)("%s", (kind, open, columns, bytes, version, added) => {
  it.scopedLive.skipIf(isMissing(kind))(
    `opens an inbox of version ${version} with its messages and leases; no earlier attempt counts as failed`,
    () =>
      Effect.gen(function* () {
        const { layer, run } = yield* open
        for (const statement of [...version1(...columns), ...added, ...rows(bytes)])
          yield* Effect.promise(() => run(statement))
        const texts = yield* Effect.gen(function* () {
          const messages = yield* InboxMessages
          const inbox = yield* Inbox
          // Still recognised as a duplicate.
          yield* inbox.handle([{ id: acknowledged, text: Buffer.from("again") }], alice)
          expect(yield* messages.depth).toMatchObject({ messages: 3, dead: 0 })
          expect(
            (yield* messages.list({ limit: 9, textBytes: 9 })).map(({ text }) => text.length)
          ).toEqual([8, 5, 6])
          const leased = yield* messages.lease({ count: 9, millis: hour, order: "none" })
          expect(leased.map(failuresOf)).toEqual([1, 1])
          return leased.map(({ text }) => Buffer.from(text).toString())
        }).pipe(Effect.provide(layer))
        expect(texts).toEqual(["released", "fresh"])
        const versions = yield* Effect.promise(() =>
          run("SELECT MAX(version) AS version FROM sealwire_schema")
        )
        expect(Number((versions as ReadonlyArray<{ version: number }>)[0]?.version)).toBe(3)
        // A second opening changes nothing.
        yield* Effect.provide(
          Effect.flatMap(InboxMessages, ({ depth }) => depth),
          layer
        )
      })
  )
})
