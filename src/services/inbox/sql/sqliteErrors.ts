// The errors of SQLite through a client of @effect/sql, as clauses for its user.
import type { SqlError } from "@effect/sql/SqlError"
import { InboxRefused } from "../InboxErrors.ts"
import { textOf } from "../sqlError.ts"
import * as SqliteErrors from "../SqliteErrors.ts"

/** The codes of node:sqlite, which are numbers. */
const named: Readonly<Record<number, string>> = {
  5: "SQLITE_BUSY",
  7: "SQLITE_NOMEM",
  10: "SQLITE_IOERR",
  13: "SQLITE_FULL",
  14: "SQLITE_CANTOPEN"
}

const codeOf = ({ cause }: SqlError): string => {
  const { errcode } = (cause ?? {}) as { readonly errcode?: unknown }
  // The low byte is the code, and the others are a detail.
  return typeof errcode === "number"
    ? (named[errcode % 256] ?? String(errcode))
    : SqliteErrors.codeOf(cause)
}

export const isTransient = (error: SqlError): boolean => SqliteErrors.refused(codeOf(error)).retry

/** Returns the error of an operation that failed in SQLite. */
export const refused = (error: SqlError): InboxRefused => {
  const known = SqliteErrors.refused(codeOf(error))
  return known.retry
    ? known
    : new InboxRefused({
        reason: `the database refused the statement: ${textOf(error)}`,
        retry: false
      })
}
