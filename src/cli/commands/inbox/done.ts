import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "./InboxAt.ts"

export const inboxDone = commandSpec(
  ["inbox", "done"],
  "say that messages are handled: their texts are deleted, and nobody gets them again",
  [["sealwire inbox done 3f9a 77c0", "the two whose ids begin so"]],
  {
    inbox: InboxAt.options.inbox,
    ids: Args.text({ name: "ID" }).pipe(
      Args.withDescription("The id of a message, or as much of its beginning as no other has."),
      Args.atLeast(1)
    )
  },
  ({ inbox, ids }) =>
    InboxAt.withMessages(
      inbox,
      Effect.gen(function* () {
        // All are found before any is done.
        const found = yield* Effect.forEach(ids, InboxAt.findMessage)
        yield* (yield* InboxMessages).acknowledge(found.map(({ sequence }) => sequence))
      })
    )
)
