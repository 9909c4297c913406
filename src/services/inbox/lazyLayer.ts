import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { importOptional } from "./importOptional.ts"
import { contextOf, type Inbox, type InboxMessages } from "./Inbox.ts"
import type { InboxRefused, InboxUnusable } from "./InboxErrors.ts"
import type { MessageStore } from "./StoredMessage.ts"

/** Provides an inbox whose store needs optional packages: they are loaded when it is opened. */
export const lazyLayer = (
  inbox: string,
  load: () => Promise<Effect.Effect<MessageStore, InboxUnusable | InboxRefused, Scope.Scope>>
): Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused> =>
  Layer.scopedContext(Effect.map(Effect.flatten(importOptional(inbox, load)), contextOf))
