// An inbox in a SQLite file, for one server. INBOX.md.
import path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { requireSpace } from "../DiskSpace.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { dialect, open, refused } from "./SqliteFile.ts"
import * as SqlInbox from "./SqlInbox.ts"
import type { MessageStore } from "./StoredMessage.ts"

export const make = (
  file: string,
  options: { readonly create?: boolean }
): Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.flatMap(open(file, options), ({ runSingle }) =>
    Effect.map(SqlInbox.make(dialect, runSingle), (store) => ({
      ...store,
      // A small change may fit into the log that is there, and a message does not.
      check: Effect.zipRight(hasSpace(file), store.check)
    }))
  )

const hasSpace = (file: string): Effect.Effect<void, InboxRefused> =>
  Effect.tryPromise({
    try: () => requireSpace(path.dirname(file)),
    catch: (cause) =>
      refused((cause as NodeJS.ErrnoException).code === "ENOSPC" ? "SQLITE_FULL" : "SQLITE_IOERR")
  })
