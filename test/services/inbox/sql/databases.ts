// The databases of an application: each layer is another program with its own client.
import path from "node:path"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { scopedFolder } from "../../../fixtures/folder.ts"
import * as Postgres from "../Postgres.ts"
import { clientOf } from "./clients.ts"

/** A schema of its own in PostgreSQL. */
export const schema: Effect.Effect<URL, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(Effect.promise(Postgres.schema), ({ drop }) => Effect.promise(drop)),
  ({ url }) => url
)

/** New databases: a file, or a schema of its own. */
const created: Readonly<Record<string, Effect.Effect<string, never, Scope.Scope>>> = {
  SQLite: Effect.map(scopedFolder, (folder) => path.join(folder, "app.db")),
  PostgreSQL: Effect.map(schema, ({ href }) => href)
}

/** Each creates a database, as the argument of `clientOf`. */
export const locations = Object.entries(created)

/** Each creates a database, and returns a layer of its clients. */
export const databases: ReadonlyArray<
  readonly [name: string, database: Effect.Effect<Layer.Layer<SqlClient>, never, Scope.Scope>]
> = locations.map(([name, location]) => [name, Effect.map(location, clientOf)] as const)
