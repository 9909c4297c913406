import type { SqlError } from "@effect/sql/SqlError"

/** Returns the text of an error of a database, as its client received it. */
export const textOf = ({ cause, message }: SqlError): string =>
  cause instanceof Error && cause.message !== "" ? cause.message : (message ?? "")
