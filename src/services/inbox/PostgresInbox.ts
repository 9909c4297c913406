// The inbox in PostgreSQL: several servers behind one address, several consumers. INBOX.md.
import { Socket } from "node:net"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import { redactUrl } from "./redactUrl.ts"
import * as SqlInbox from "./SqlInbox.ts"
import type { MessageStore } from "./StoredMessage.ts"

const dialect: SqlInbox.Dialect = {
  place: (nth) => `$${nth}`,
  sequence: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  integer: "BIGINT",
  bytes: "BYTEA",
  now: "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint",
  skipLocked: "FOR UPDATE SKIP LOCKED"
}

/** Of those that start at once, one makes the tables and the others wait: "sealwire" in ASCII, as a number. */
const migrationLock = "SELECT pg_advisory_xact_lock(8315159405497250405)"

export const make = (
  url: URL
): Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const inbox = redactUrl(url)
    const bounded = new URL(url)
    bounded.searchParams.set("statement_timeout", String(limits.statementMillis))
    const sockets = new Set<Socket>()
    const sql = yield* PgClient.make({
      url: Redacted.make(bounded.href),
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
      Effect.mapError((error) => openingError(inbox, error))
    )

    // A connection that was cut without a word gives no answer and no error: all go, and the pool makes new ones.
    const patience = Effect.acquireRelease(
      Effect.sync(() =>
        setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, limits.answerMillis)
      ),
      (timer) => Effect.sync(() => clearTimeout(timer))
    )
    const run: SqlInbox.Run = (statement, parameters = []) =>
      sql.unsafe<Record<string, unknown>>(statement, parameters).pipe(
        Effect.mapError((error) => refusalOf(error)),
        (running) => Effect.scoped(Effect.zipRight(patience, running))
      )
    yield* sql
      .withTransaction(Effect.zipRight(run(migrationLock), SqlInbox.migrate(inbox, dialect, run)))
      .pipe(Effect.mapError((error) => (error._tag === "SqlError" ? refusalOf(error) : error)))
    return yield* SqlInbox.make(dialect, run)
  })

const codeOf = ({ cause }: SqlError): string => {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" ? code : ""
}

const wordsOf = ({ cause, message }: SqlError): string =>
  cause instanceof Error && cause.message !== "" ? cause.message : (message ?? "")

/** SQLSTATE classes of what the same statement meets every time: data, constraints, rights, names. */
const lasting = /^(22|23|28|3D|3F|42)/

const refusalOf = (error: SqlError): InboxRefused => {
  const code = codeOf(error)
  if (lasting.test(code))
    return new InboxRefused({ reason: `the database refuses: ${wordsOf(error)}`, retry: false })
  if (code === "53100")
    return new InboxRefused({ reason: "the database's disk is full", retry: true })
  return new InboxRefused({
    reason: `the database is away (${code === "" ? wordsOf(error) : code})`,
    retry: true
  })
}

/** What is wrong for good is told apart from a database that is not there now. */
const openingError = (inbox: string, error: SqlError): InboxUnusable | InboxRefused => {
  const words = wordsOf(error)
  if (/password must be a string/.test(words))
    return new InboxUnusable({
      inbox,
      reason: "it wants a password: PGPASSWORD, ~/.pgpass, or --inbox env:NAME with the whole URL"
    })
  return lasting.test(codeOf(error))
    ? new InboxUnusable({ inbox, reason: words })
    : refusalOf(error)
}
