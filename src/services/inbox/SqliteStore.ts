// An inbox in a SQLite file, for one server. INBOX.md.
import { shown } from "../../bytes/excerpt.ts"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { InboxRefused, type InboxUnusable } from "./InboxErrors.ts"
import { makeStore, open } from "./SqliteFile.ts"
import type { MessageStore } from "./StoredMessage.ts"

export const make = (
  file: string,
  options: { readonly create?: boolean }
): Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope> =>
  Effect.gen(function* () {
    // The log of a server has no other name of the inbox.
    const explain = ({ reason, retry, isGone = false }: InboxRefused) =>
      new InboxRefused({ reason: `${shown(file)}: ${reason}`, retry, isGone })
    const connection = yield* Effect.mapError(open(file, options), (error) =>
      error._tag === "InboxRefused" ? explain(error) : error
    )
    const store = yield* makeStore(connection, explain)
    // A small change may fit into the log that is there, and a message does not.
    const hasRoom = Effect.mapError(connection.requireRoom(0), explain)
    return { ...store, check: Effect.zipRight(hasRoom, store.check) }
  })
