// A SqlClient of @effect/sql over libsql, as a program of SQLite has one: one connection, which a
// transaction keeps for itself. It waits little for the lock of the file: another client in the same
// process could not release it meanwhile. Every transaction begins with BEGIN IMMEDIATE, because a
// statement that libsql has prepared stays unfinished when it finds the file locked.
import { layer as reactivity } from "@effect/experimental/Reactivity"
import * as Client from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import { makeCompilerSqlite } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import Database from "libsql"

export const layer = (file: string): Layer.Layer<Client.SqlClient> =>
  Layer.scoped(
    Client.SqlClient,
    Effect.gen(function* () {
      const database = yield* Effect.acquireRelease(
        Effect.sync(() => new Database(file)),
        (database) => Effect.sync(() => database.close())
      )
      for (const setting of ["journal_mode = WAL", "busy_timeout = 20"])
        database.exec(`PRAGMA ${setting}`)
      const run = (statement: string, parameters: ReadonlyArray<unknown>) =>
        Effect.try({
          try: () => {
            if (/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT)/.test(statement)) {
              database.exec(statement)
              return []
            }
            if (database.inTransaction) return rowsOf(statement, parameters)
            database.exec("BEGIN IMMEDIATE")
            try {
              const rows = rowsOf(statement, parameters)
              database.exec("COMMIT")
              return rows
            } finally {
              if (database.inTransaction) database.exec("ROLLBACK")
            }
          },
          catch: (cause) => new SqlError({ cause, message: "Failed to execute statement" })
        })
      const rowsOf = (statement: string, parameters: ReadonlyArray<unknown>) => {
        const prepared = database.prepare(statement)
        if (prepared.reader) return prepared.all([...parameters])
        prepared.run([...parameters])
        return []
      }
      const connection: Connection = {
        execute: (statement, parameters, transform) =>
          Effect.map(run(statement, parameters), (rows) =>
            transform === undefined ? rows : transform(rows as ReadonlyArray<object>)
          ),
        executeRaw: run,
        executeUnprepared: run,
        executeValues: () => Effect.die("not used"),
        executeStream: () => Stream.die("not used")
      }
      const semaphore = yield* Effect.makeSemaphore(1)
      const own = Effect.acquireRelease(semaphore.take(1), () => semaphore.release(1))
      return yield* Client.make({
        acquirer: semaphore.withPermits(1)(Effect.succeed(connection)),
        transactionAcquirer: Effect.as(own, connection),
        beginTransaction: "BEGIN IMMEDIATE",
        compiler: makeCompilerSqlite(),
        spanAttributes: []
      })
    })
  ).pipe(Layer.provide(reactivity))
