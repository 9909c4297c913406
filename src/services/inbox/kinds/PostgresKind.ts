import * as Either from "effect/Either"
import * as ChildEnvironment from "../../../keys/ChildEnvironment.ts"
import { Inbox } from "../Inbox.ts"
import type { StoreKind } from "../InboxKind.ts"

export const prefixes = ["postgres://", "postgresql://"]

/** Parses a URL. The reason does not repeat the text, which may contain a password. */
export const parseUrl = (text: string): Either.Either<URL, string> =>
  URL.canParse(text) ? Either.right(new URL(text)) : Either.left("not a valid URL")

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
    return Either.map(withoutPassword(reference), Inbox.layerPostgres)
  }
}
