import * as Operand from "../../arguments/Operand.ts"
import * as Effect from "effect/Effect"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const inboxShow = commandSpec(
  {
    path: ["inbox", "show"],
    group: "Communicate",
    summary: "print one message without acknowledging it",
    examples: [
      ["sealwire inbox show 3f9a", "the message whose ID starts with 3f9a"],
      ["sealwire inbox show 3f9a > message", "its content, byte for byte"]
    ],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    json: options.json,
    id: Operand.text("ID").pipe(Operand.withDescription("Message ID or unique prefix."))
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
