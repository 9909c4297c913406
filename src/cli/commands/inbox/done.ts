import * as Operand from "../../arguments/Operand.ts"
import * as Effect from "effect/Effect"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"

export const inboxDone = commandSpec(
  {
    path: ["inbox", "done"],
    group: "Communicate",
    summary: "acknowledge messages: their content is deleted, and they are not redelivered",
    examples: [["sealwire inbox done 3f9a 77c0", "two messages, by unique prefixes of their IDs"]],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    ids: Operand.text("ID").pipe(
      Operand.withDescription("Message ID or unique prefix."),
      Operand.some
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
