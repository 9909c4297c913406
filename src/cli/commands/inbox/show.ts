import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "./InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const inboxShow = commandSpec(
  ["inbox", "show"],
  "print one message; it stays in the inbox",
  [
    ["sealwire inbox show 3f9a", "the one whose id begins so"],
    ["sealwire inbox show 3f9a > message", "its bytes, as they came"]
  ],
  {
    inbox: InboxAt.options.inbox,
    json: options.json,
    id: Args.text({ name: "ID" }).pipe(
      Args.withDescription("The id of the message, or as much of its beginning as no other has.")
    )
  },
  ({ inbox, json, id }) =>
    Effect.gen(function* () {
      const stored = yield* InboxAt.withMessages(inbox, InboxAt.findMessage(id))
      yield* (yield* Report).emit(Event.InboxMessage({ stored }), {
        json,
        wire: false,
        exact: true
      })
    })
)
