// An inbox in PostgreSQL, for several servers behind one address and several consumers. INBOX.md.
import { Socket } from "node:net"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Environment from "../../keys/Environment.ts"
import { postgres } from "./dialects.ts"
import { InboxUnusable, type InboxRefused } from "./InboxErrors.ts"
import * as InboxTable from "./InboxTable.ts"
import { limits } from "./limits.ts"
import { openError, refused } from "./postgresErrors.ts"
import * as postgresTls from "./postgresTls.ts"
import { redactUrl } from "./redactUrl.ts"
import { migrate, migrationLock } from "./migrate.ts"
import type { MessageStore } from "./StoredMessage.ts"

export const make = (
  url: URL
): Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const inbox = redactUrl(url)
    // The library reads PGPASSWORD and others.
    const unusable = Object.keys(Environment.withoutUnusable()).find((name) =>
      name.startsWith("PG")
    )
    if (unusable !== undefined)
      return yield* new InboxUnusable({
        inbox,
        reason: `the environment variable ${unusable} is not valid UTF-8; set it to a value in UTF-8`
      })
    const fault = postgresTls.fileFault(url)
    if (fault !== undefined) return yield* new InboxUnusable({ inbox, reason: fault })
    const urlWithTimeout = new URL(url)
    postgresTls.normalize(urlWithTimeout)
    urlWithTimeout.searchParams.set("statement_timeout", String(limits.statementMillis))
    const sockets = new Set<Socket>()
    const sql = yield* PgClient.make({
      url: Redacted.make(urlWithTimeout.href),
      applicationName: "sealwire",
      maxConnections: limits.connections,
      connectTimeout: limits.connectMillis,
      stream: () => {
        const socket = new Socket()
        sockets.add(socket)
        return socket.once("close", () => sockets.delete(socket))
      }
    }).pipe(
      Effect.provide(Reactivity.layer),
      Effect.mapError((error) => openError(inbox, error))
    )

    // A connection that is cut silently reports neither a result nor an error. After the timeout
    // all connections are destroyed, and the pool opens new ones.
    const runWithin =
      (millis: number): InboxTable.Run =>
      (statement, parameters = []) =>
        Effect.acquireUseRelease(
          Effect.sync(() =>
            setTimeout(() => {
              for (const socket of sockets) socket.destroy()
            }, millis)
          ),
          () =>
            Effect.mapError(sql.unsafe<Record<string, unknown>>(statement, parameters), (error) =>
              refused(error)
            ),
          (timer) => Effect.sync(() => clearTimeout(timer))
        )
    const run = runWithin(limits.responseMillis)
    const runMigration = runWithin(limits.migrationMillis)
    yield* sql
      .withTransaction(
        Effect.all(
          [
            // An index over many messages takes longer than any other statement.
            run(`SET LOCAL statement_timeout = ${limits.migrationMillis}`),
            runMigration(migrationLock),
            migrate(inbox, postgres, runMigration)
          ],
          { discard: true }
        )
      )
      .pipe(Effect.mapError((error) => (error._tag === "SqlError" ? refused(error) : error)))
    return yield* InboxTable.make(postgres, run)
  })
