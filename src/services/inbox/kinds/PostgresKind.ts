import * as Either from "effect/Either"
import * as ChildEnvironment from "../../../keys/ChildEnvironment.ts"
import * as PostgresInbox from "../PostgresInbox.ts"
import * as postgresTls from "../postgresTls.ts"
import type { StoreKind } from "../InboxKind.ts"

export const prefixes = ["postgres://", "postgresql://"]

/** Parses a URL. The reason does not repeat the text, which may contain a password. */
export const parseUrl = (text: string): Either.Either<URL, string> => {
  if (!URL.canParse(text)) return Either.left("not a valid URL")
  const url = new URL(text)
  const fault = postgresTls.parameterFault(url)
  return fault === undefined ? Either.right(url) : Either.left(fault)
}

const withoutPassword = (reference: string): Either.Either<URL, string> =>
  Either.filterOrLeft(
    parseUrl(reference),
    (url) => url.password === "" && !url.searchParams.has("password"),
    // Every user of a machine can read its command lines.
    () =>
      "no password in a reference, which other users can see; use PGPASSWORD, ~/.pgpass, or env:NAME with the whole URL"
  )

export const PostgresKind: StoreKind = {
  name: "postgres",
  prefixes,
  form: "postgres://…",
  check: (reference) =>
    Either.match(withoutPassword(reference), {
      onLeft: (reason) => reason,
      onRight: () => undefined
    }),
  stores: true,
  open: (reference) => {
    ChildEnvironment.withhold("PGPASSWORD")
    return Either.map(withoutPassword(reference), PostgresInbox.layer)
  }
}
