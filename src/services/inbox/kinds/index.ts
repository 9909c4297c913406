import type { InboxKind } from "../InboxKind.ts"
import { EnvKind } from "./EnvKind.ts"
import { ExecKind } from "./ExecKind.ts"
import { PostgresKind } from "./PostgresKind.ts"
import { SqliteKind } from "./SqliteKind.ts"

/** The kinds of inboxes that a reference can name. */
export const kinds: ReadonlyArray<InboxKind> = [SqliteKind, PostgresKind, EnvKind, ExecKind]

/**
 * Returns the kind of a reference. A reference without a known prefix is the path of a SQLite file.
 */
export const kindOf = (reference: string): InboxKind =>
  kinds.find(({ prefixes }) => prefixes.some((prefix) => reference.startsWith(prefix))) ??
  SqliteKind
