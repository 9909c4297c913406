import { shown } from "../../../bytes/excerpt.ts"
import * as Either from "effect/Either"
import * as ChildEnvironment from "../../../keys/ChildEnvironment.ts"
import * as Environment from "../../../keys/Environment.ts"
import * as PostgresInbox from "../PostgresInbox.ts"
import type { StoreKind } from "../InboxKind.ts"
import { parseUrl, prefixes } from "./PostgresKind.ts"

/**
 * An environment variable with a PostgreSQL URL. Other users cannot read it, so the URL may contain
 * a password.
 */
export const EnvKind: StoreKind = {
  name: "env",
  prefixes: ["env:"],
  form: "env:NAME (a variable with a postgres:// URL, which may contain a password)",
  stores: true,
  open: (reference) => {
    const name = reference.slice("env:".length)
    for (const secret of [name, "PGPASSWORD"]) ChildEnvironment.withhold(secret)
    const found = Environment.variable(name)
    if (Either.isLeft(found))
      return Either.left(`the environment variable ${shown(name)} ${found.left}`)
    const value = found.right ?? ""
    return prefixes.some((prefix) => value.startsWith(prefix))
      ? Either.map(parseUrl(value), PostgresInbox.layer)
      : Either.left(`the environment variable ${shown(name)} does not contain a postgres:// URL`)
  }
}
