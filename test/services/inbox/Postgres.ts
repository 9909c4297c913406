// PostgreSQL for the tests: at DATABASE_URL or on this machine, with a schema for each test.
import { randomBytes } from "node:crypto"
import { createConnection, createServer, type Socket } from "node:net"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

const address = process.env.DATABASE_URL ?? "postgres://root@127.0.0.1:5432/postgres"

/** Runs a statement for the test itself. */
export const query = (
  url: URL,
  statement: string
): Promise<ReadonlyArray<Record<string, unknown>>> =>
  Effect.runPromise(
    PgClient.make({ url: Redacted.make(url.href), maxConnections: 1 }).pipe(
      Effect.flatMap((sql): Effect.Effect<ReadonlyArray<Record<string, unknown>>, SqlError> =>
        sql.unsafe(statement)
      ),
      Effect.provide(Reactivity.layer),
      Effect.scoped
    )
  )

/** False when no server responds; its tests are then skipped, and a failing test reports it. */
export const available = await query(new URL(address), "SELECT 1").then(
  () => true,
  () => {
    console.warn(
      `no PostgreSQL at ${address.replace(/:[^:@/]*@/, "@")}: its tests are skipped; DATABASE_URL names another`
    )
    return false
  }
)

export interface Schema {
  readonly url: URL
  readonly drop: () => Promise<unknown>
}

export const schema = async (): Promise<Schema> => {
  const name = `sealwire_test_${randomBytes(6).toString("hex")}`
  await query(new URL(address), `CREATE SCHEMA ${name}`)
  const url = new URL(address)
  url.searchParams.set("options", `-c search_path=${name}`)
  return { url, drop: () => query(new URL(address), `DROP SCHEMA ${name} CASCADE`) }
}

/** Creates a database, so that a test can end its connections without disturbing others. */
export const database = async (): Promise<Schema> => {
  const name = `sealwire_test_${randomBytes(6).toString("hex")}`
  await query(new URL(address), `CREATE DATABASE ${name}`)
  const url = new URL(address)
  url.pathname = `/${name}`
  return { url, drop: () => query(new URL(address), `DROP DATABASE ${name} WITH (FORCE)`) }
}

/** Terminates every other connection to the database. */
export const cutConnections = (url: URL) =>
  query(
    url,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
  )

/**
 * A proxy to the database: `refuse` ends its connections and accepts none, `hold` forwards nothing.
 */
export const proxyTo = async (url: URL) => {
  let state: "open" | "refusing" | "holding" = "open"
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    if (state === "refusing") return void near.destroy()
    const far = createConnection(Number(url.port || 5432), url.hostname)
    for (const [one, other] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(one)
      one.on("data", (bytes) => {
        if (state !== "holding") other.write(bytes)
      })
      one.on("error", () => {})
      one.on("close", () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const through = new URL(url)
  through.hostname = "127.0.0.1"
  through.port = String((server.address() as { readonly port: number }).port)
  return {
    url: through,
    refuse: () => {
      state = "refusing"
      for (const socket of sockets) socket.destroy()
    },
    hold: () => (state = "holding"),
    open: () => (state = "open"),
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}
