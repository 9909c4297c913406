// An inbox in a SQLite file, for one server. INBOX.md.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { makeStore, open } from "./SqliteFile.ts"
import type { MessageStore } from "./StoredMessage.ts"

export const make = (
  file: string,
  options: { readonly create?: boolean }
): Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.flatMap(open(file, options), (connection) =>
    Effect.map(makeStore(connection), (store) => ({
      ...store,
      // A small change may fit into the log that is there, and a message does not.
      check: Effect.zipRight(connection.requireRoom(0), store.check)
    }))
  )
