// The layer of an inbox in a SQLite file, for one server. INBOX.md.
import type * as Layer from "effect/Layer"
import type { Inbox, InboxMessages } from "./Inbox.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { lazyLayer } from "./lazyLayer.ts"

/**
 * Stores messages in a SQLite database, which is created when it is missing unless `create` is
 * false. Needs the package libsql.
 */
export const layer = (
  file: string,
  options: { readonly create?: boolean } = {}
): Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused> =>
  lazyLayer(file, async () => (await import("./SqliteStore.ts")).make(file, options))
