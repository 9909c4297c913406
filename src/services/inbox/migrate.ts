// The versions of the tables of an inbox, and how a database gets to the current one. INBOX.md.
import * as Effect from "effect/Effect"
import type { Dialect } from "./dialects.ts"
import { InboxUnusable, type InboxRefused } from "./InboxErrors.ts"
import { dead, leased, pending, type Run } from "./InboxTable.ts"

/** Tables with a version. */
export interface Tables {
  /** The table that holds the version. */
  readonly schema: string
  /** The statements that migrate each version of the tables to the next. */
  readonly versions: (dialect: Dialect) => ReadonlyArray<ReadonlyArray<string>>
}

/**
 * The statements that migrate each version of the tables to the next. Released migrations never
 * change.
 */
const inboxVersions: Tables["versions"] = ({ sequence, integer, bytes }) => [
  [
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
  ],
  ["CREATE INDEX sealwire_inbox_done ON sealwire_inbox (done_at) WHERE done_at IS NOT NULL"],
  [
    `ALTER TABLE sealwire_inbox ADD COLUMN uncounted ${integer} NOT NULL DEFAULT 0`,
    "ALTER TABLE sealwire_inbox ADD COLUMN error TEXT",
    `ALTER TABLE sealwire_inbox ADD COLUMN dead_at ${integer}`,
    // Earlier attempts were not told apart: none of them counts as failed.
    "UPDATE sealwire_inbox SET uncounted = attempts WHERE done_at IS NULL AND attempts > 0",
    // A lease that was released kept the name of its consumer.
    "UPDATE sealwire_inbox SET taken_by = NULL WHERE done_at IS NULL AND lease_until = 0",
    "DROP INDEX sealwire_inbox_waiting",
    `CREATE INDEX sealwire_inbox_pending ON sealwire_inbox (sequence) WHERE ${pending}`,
    `CREATE INDEX sealwire_inbox_ready ON sealwire_inbox (lease_until, sequence) WHERE ${pending}`,
    `CREATE INDEX sealwire_inbox_peers ON sealwire_inbox (peer, lease_until, sequence) WHERE ${pending}`,
    `CREATE INDEX sealwire_inbox_leased ON sealwire_inbox (peer, lease_until) WHERE ${leased}`,
    `CREATE INDEX sealwire_inbox_dead ON sealwire_inbox (sequence) WHERE ${dead}`
  ]
]

export const inboxTables: Tables = { schema: "sealwire_schema", versions: inboxVersions }

/** The statement that creates the table with the version of tables. */
export const createSchema = ({ integer }: Dialect, { schema }: Tables): string =>
  `CREATE TABLE IF NOT EXISTS ${schema} (version ${integer} NOT NULL)`

/** The statements of each version, the one that stores its number included. */
export const migrations = (
  dialect: Dialect,
  { schema, versions }: Tables
): ReadonlyArray<ReadonlyArray<string>> =>
  versions(dialect).map((statements, index) => [
    ...statements,
    `INSERT INTO ${schema} (version) VALUES (${index + 1})`
  ])

/** Returns the version that the tables have: 0 before the first. */
export const versionOf = ({ schema }: Tables, run: Run): Effect.Effect<number, InboxRefused> =>
  Effect.map(run(`SELECT COALESCE(MAX(version), 0) AS version FROM ${schema}`), ([row]) =>
    Number(row?.version)
  )

/**
 * Servers on PostgreSQL that start at the same time migrate one after the other. The key is
 * "sealwire" in ASCII.
 */
export const migrationLock = "SELECT pg_advisory_xact_lock(8315159405497250405)"

/**
 * Migrates the tables to the current version. Callers run it in a transaction that excludes other
 * migrations.
 */
export const migrate = (
  inbox: string,
  dialect: Dialect,
  run: Run,
  tables: Tables = inboxTables
): Effect.Effect<void, InboxRefused | InboxUnusable> =>
  Effect.gen(function* () {
    const versions = migrations(dialect, tables)
    yield* run(createSchema(dialect, tables))
    const version = yield* versionOf(tables, run)
    if (version > versions.length)
      return yield* new InboxUnusable({
        inbox,
        reason: "it was created by a newer version of sealwire; upgrade this one"
      })
    for (const statement of versions.slice(version).flat()) yield* run(statement)
  })
