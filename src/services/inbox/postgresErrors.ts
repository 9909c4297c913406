// The errors of PostgreSQL, as clauses for its user.
import type { SqlError } from "@effect/sql/SqlError"
import { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import * as postgresTls from "./postgresTls.ts"
import { textOf } from "./sqlError.ts"

const codeOf = ({ cause }: SqlError): string => {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" ? code : ""
}

/**
 * SQLSTATE classes of errors that the same statement meets every time: data, constraints, rights,
 * names, and 25P02: an earlier statement of the transaction has failed.
 */
const permanent = /^(22|23|25P02|28|3D|3F|42)/

/**
 * Classes and codes of errors that end by themselves: connection, conflict of transactions,
 * resources, lock, operator; and those of a socket, which begin with E.
 */
const transient = /^(08|40|53|55P03|57|E[A-Z])/

export const isTransient = (error: SqlError): boolean => transient.test(codeOf(error))

/** Returns the error of an operation that failed in PostgreSQL. */
export const refused = (error: SqlError): InboxRefused => {
  const code = codeOf(error)
  if (permanent.test(code))
    return new InboxRefused({
      reason: `the database refused the statement: ${textOf(error)}`,
      retry: false
    })
  if (code === "53100")
    return new InboxRefused({ reason: "the database's disk is full", retry: true })
  return new InboxRefused({
    // Once it was open, a certificate that is renewed helps.
    reason:
      postgresTls.errorClause(code, textOf(error)) ??
      `the database is unreachable (${code === "" ? textOf(error) : code})`,
    retry: true
  })
}

/** Distinguishes a wrong configuration from a database that is temporarily unreachable. */
export const openError = (inbox: string, error: SqlError): InboxUnusable | InboxRefused => {
  const text = textOf(error)
  if (/password must be a string/.test(text))
    return new InboxUnusable({
      inbox,
      reason:
        "the database requires a password; set PGPASSWORD or ~/.pgpass, or use env:NAME with the whole URL"
    })
  const reason =
    postgresTls.errorClause(codeOf(error), text) ??
    (permanent.test(codeOf(error)) ? text : undefined)
  return reason === undefined ? refused(error) : new InboxUnusable({ inbox, reason })
}
