// The layer of an inbox in PostgreSQL, for several servers and consumers. INBOX.md.
import type * as Layer from "effect/Layer"
import type { Inbox, InboxMessages } from "./Inbox.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { lazyLayer } from "./lazyLayer.ts"
import { redactUrl } from "./redactUrl.ts"

/**
 * Stores messages in a PostgreSQL database, which several servers may share. Needs the package
 * @effect/sql-pg.
 */
export const layer = (url: URL): Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused> =>
  lazyLayer(redactUrl(url), async () => (await import("./PostgresStore.ts")).make(url))
