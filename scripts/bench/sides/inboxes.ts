// Inboxes that store a message durably before the receipt: a file in this folder, or a given
// database.
import { mkdtempSync, rmSync } from "node:fs"
import path from "node:path"
import * as PostgresInbox from "../../../src/services/inbox/PostgresInbox.ts"
import * as SqliteInbox from "../../../src/services/inbox/SqliteInbox.ts"
import type { Side } from "../Side.ts"
import { into } from "./sealwire.ts"

export const sqlite = (): Side => {
  // Not in /tmp, which may be in memory.
  const folder = mkdtempSync(path.join(process.cwd(), "node_modules/.inbox-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  return into(SqliteInbox.layer(path.join(folder, "inbox.db")))
}

export const postgres = (): Side =>
  into(PostgresInbox.layer(new URL(process.env.DATABASE_URL ?? "")))
