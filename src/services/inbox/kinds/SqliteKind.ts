import * as Either from "effect/Either"
import * as SqliteInbox from "../SqliteInbox.ts"
import type { StoreKind } from "../InboxKind.ts"

/** The default kind: a reference without a prefix is the path of a file. */
export const SqliteKind: StoreKind = {
  name: "sqlite",
  prefixes: [],
  form: "FILE (SQLite)",
  stores: true,
  open: (file, options) => Either.right(SqliteInbox.layer(file, options))
}
