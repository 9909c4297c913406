// An inbox in a SQLite file, for one server. INBOX.md.
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import { dialect, open } from "./SqliteFile.ts"
import * as SqlInbox from "./SqlInbox.ts"
import type { MessageStore } from "./StoredMessage.ts"

export const make = (
  file: string,
  options: { readonly create?: boolean }
): Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.flatMap(open(file, options), ({ runSingle }) => SqlInbox.make(dialect, runSingle))
