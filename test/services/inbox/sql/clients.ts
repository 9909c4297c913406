// Clients of the databases of an application.
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as LibsqlClient from "./LibsqlClient.ts"

/** A client whose names are changed on the way, as many applications have it. */
const postgres = (url: URL): Layer.Layer<SqlClient> =>
  Layer.scoped(
    SqlClient,
    PgClient.make({
      url: Redacted.make(url.href),
      maxConnections: 6,
      transformResultNames: (name) => name.replaceAll(/_(.)/g, (_, letter) => letter.toUpperCase())
    })
  ).pipe(Layer.provide(Reactivity.layer), Layer.orDie)

/** A client of a file of SQLite, or of a URL of PostgreSQL. */
export const clientOf = (database: string): Layer.Layer<SqlClient> =>
  database.startsWith("postgres") ? postgres(new URL(database)) : LibsqlClient.layer(database)
