// The database of an application, through its own client of @effect/sql. In a transaction of the
// application every statement here is a part of it. INBOX.md section 9.
import { SqlClient, TransactionConnection } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as dialects from "../dialects.ts"
import { InboxUnusable, type InboxRefused } from "../InboxErrors.ts"
import type { Row, Run } from "../InboxTable.ts"
import {
  createSchema,
  migrate,
  migrationLock,
  migrations,
  versionOf,
  type Tables
} from "../migrate.ts"
import * as postgresErrors from "../postgresErrors.ts"
import { HandlingFailed } from "../Redelivery.ts"
import { textOf } from "../sqlError.ts"
import * as sqliteErrors from "./sqliteErrors.ts"

/** The options of tables in a database of the application. */
export interface TableOptions {
  /**
   * Begin of the names of the tables and indexes: lower-case letters, digits and underscores, at
   * most 30. Default: `sealwire_`.
   */
  readonly prefix?: string
}

/** The options of a layer over tables in a database of the application. */
export interface LayerOptions extends TableOptions {
  /** Creates or migrates the tables when the layer is built. Default: true. */
  readonly migrate?: boolean
}

/** The databases, by the name of their dialect in @effect/sql. */
const databases = {
  pg: {
    dialect: dialects.postgres,
    errors: postgresErrors,
    migrationLock: () => migrationLock,
    parametersOf: (statement: string, parameters: ReadonlyArray<unknown>) =>
      [statement, parameters] as const
  },
  sqlite: {
    dialect: { ...dialects.sqlite, placeholder: dialects.postgres.placeholder },
    errors: sqliteErrors,
    // A transaction that begins by reading could not wait for another's write lock.
    migrationLock: ({ schema }: Tables) => `UPDATE ${schema} SET version = version`,
    // Clients differ in what they take $1 for, and agree on ?.
    parametersOf: (statement: string, parameters: ReadonlyArray<unknown>) => {
      const values: Array<unknown> = []
      const text = statement.replaceAll(/\$(\d+)/g, (_, nth) => {
        values.push(parameters[Number(nth) - 1])
        return "?"
      })
      return [text, values] as const
    }
  }
} as const

/** The name of a database in @effect/sql. */
export type DialectName = keyof typeof databases

/** An open database of the application. */
export interface SqlDatabase {
  readonly name: DialectName
  readonly dialect: dialects.Dialect
  /** Runs a statement: in the transaction of the fiber, or as its own. */
  readonly run: Run
  /** Runs an effect in a transaction, or in a part of the one that the fiber is in. */
  readonly transaction: <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  readonly refused: (error: SqlError) => InboxRefused
  /** Returns what an error means for the handler whose statement or COMMIT failed with it. */
  readonly handlingFailed: (error: SqlError) => HandlingFailed
}

/** Whether the fiber is in a transaction of the application. */
export const isInTransaction: Effect.Effect<boolean> = Effect.map(
  Effect.serviceOption(TransactionConnection),
  Option.isSome
)

/** The begin of every name in the statements. */
const ownPrefix = "sealwire_"
const validPrefix = /^[a-z_][a-z0-9_]{0,29}$/

const renamed = (statement: string, prefix: string) =>
  prefix === ownPrefix ? statement : statement.replaceAll(ownPrefix, prefix)

/** Opens the database of the client. */
export const open = ({
  prefix = ownPrefix
}: TableOptions): Effect.Effect<SqlDatabase, InboxUnusable, SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient
    const unusable = (reason: string) => new InboxUnusable({ inbox: "SqlClient", reason })
    if (!validPrefix.test(prefix))
      return yield* unusable(
        "the prefix of its tables is not 1 to 30 lower-case letters, digits and underscores"
      )
    const name = sql.onDialectOrElse({
      pg: (): DialectName | undefined => "pg",
      sqlite: (): DialectName | undefined => "sqlite",
      orElse: (): DialectName | undefined => undefined
    })
    if (name === undefined)
      return yield* unusable("it is neither PostgreSQL nor SQLite; use a client of one of them")
    const { dialect, errors, parametersOf } = databases[name]
    return {
      name,
      dialect,
      run: (statement, parameters = []) => {
        const [text, values] = parametersOf(renamed(statement, prefix), parameters)
        return Effect.mapError(sql.unsafe<Row>(text, values).withoutTransform, errors.refused)
      },
      transaction: (use) => Effect.catchAllCause(sql.withTransaction(use), failureOf),
      refused: errors.refused,
      handlingFailed: (error) =>
        errors.isTransient(error)
          ? new HandlingFailed({ reason: errors.refused(error).reason, verdict: "later" })
          : new HandlingFailed({
              reason: `a statement failed: ${textOf(error)}`,
              verdict: "failed"
            })
    }
  })

/** A COMMIT that fails is a defect in @effect/sql: a deferred constraint, a lost connection. */
const failureOf = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E | SqlError> => {
  const defect = Option.filter(Cause.dieOption(cause), isSqlError)
  return Option.isSome(defect) ? Effect.fail(defect.value) : Effect.failCause(cause)
}

export const isSqlError = (value: unknown): value is SqlError =>
  Predicate.isTagged(value, "SqlError")

/** Creates or migrates the tables. */
export const migrateTables = (
  { name, dialect, run, transaction, refused }: SqlDatabase,
  tables: Tables
): Effect.Effect<void, InboxUnusable | InboxRefused> =>
  Effect.zipRight(
    // The lock of SQLite is that of a table; under the one of PostgreSQL `migrate` creates it.
    name === "sqlite" ? run(createSchema(dialect, tables)) : Effect.void,
    transaction(
      Effect.zipRight(
        run(databases[name].migrationLock(tables)),
        migrate("SqlClient", dialect, run, tables)
      )
    )
  ).pipe(Effect.mapError((error) => (error._tag === "SqlError" ? refused(error) : error)))

/** Fails if the tables do not have the current version. */
export const requireMigrated = (
  { dialect, run }: SqlDatabase,
  tables: Tables,
  remedy: string
): Effect.Effect<void, InboxUnusable | InboxRefused> =>
  Effect.gen(function* () {
    // A table that does not exist is a statement that is refused for ever.
    const version = yield* Effect.catchIf(
      versionOf(tables, run),
      ({ retry }) => !retry,
      () => Effect.succeed(0)
    )
    const current = tables.versions(dialect).length
    if (version === current) return
    return yield* new InboxUnusable({
      inbox: "SqlClient",
      reason:
        version < current
          ? `its tables have version ${version} of ${current}; run ${remedy} in a migration`
          : "its tables were created by a newer version of sealwire; upgrade this one"
    })
  })

/** The statements of each version of the tables, for who keeps migrations as files of SQL. */
export const statements = (
  name: DialectName,
  tables: Tables,
  { prefix = ownPrefix }: TableOptions
): ReadonlyArray<ReadonlyArray<string>> => {
  const { dialect } = databases[name]
  const [first = [], ...others] = migrations(dialect, tables)
  return [[createSchema(dialect, tables), ...first], ...others].map((version) =>
    version.map((statement) => renamed(statement, prefix))
  )
}
