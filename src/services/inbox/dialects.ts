// The two databases that an inbox or outbox can be in, and what their SQL differs in.

/** The differences between the two databases. */
export interface Dialect {
  /** The placeholder of the nth parameter, from 1, in the INSERT statement. */
  readonly placeholder: (nth: number) => string
  /** Column types. */
  readonly sequence: string
  readonly integer: string
  readonly bytes: string
  /**
   * An expression for the milliseconds since 1970, by the database's clock, which all servers and
   * consumers share. It has one value in a statement: an index can be searched for it.
   */
  readonly now: string
  /** The clause that makes concurrent consumers skip each other's rows. */
  readonly skipLocked: string
}

export const sqlite: Dialect = {
  placeholder: () => "?",
  sequence: "INTEGER PRIMARY KEY AUTOINCREMENT",
  integer: "INTEGER",
  bytes: "BLOB",
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  // SQLite has one writer at a time.
  skipLocked: ""
}

export const postgres: Dialect = {
  placeholder: (nth) => `$${nth}`,
  sequence: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  integer: "BIGINT",
  bytes: "BYTEA",
  now: "(EXTRACT(EPOCH FROM statement_timestamp()) * 1000)::bigint",
  skipLocked: "FOR UPDATE SKIP LOCKED"
}
