import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"

export const inboxDone = commandSpec(
  ["inbox", "done"],
  "acknowledge messages: their content is deleted, and they are not redelivered",
  [["sealwire inbox done 3f9a 77c0", "two messages, by unique prefixes of their IDs"]],
  {
    inbox: InboxAt.options.inbox,
    ids: Args.text({ name: "ID" }).pipe(
      Args.withDescription("Message ID or unique prefix."),
      Args.atLeast(1)
    )
  },
  ({ inbox, ids }) =>
    InboxAt.withMessages(
      inbox,
      Effect.gen(function* () {
        // Finds every message before it acknowledges any.
        const found = yield* Effect.forEach(ids, InboxAt.findMessage)
        yield* (yield* InboxMessages).acknowledge(found.map(({ sequence }) => sequence))
      })
    )
)
