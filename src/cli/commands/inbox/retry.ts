import * as Operand from "../../arguments/Operand.ts"
import * as Flag from "../../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const inboxRetry = commandSpec(
  {
    path: ["inbox", "retry"],
    group: "Communicate",
    summary: "deliver dead letters again, and messages that wait for their next attempt at once",
    examples: [
      ["sealwire inbox retry 3f9a", "the message whose ID starts with 3f9a"],
      [
        "sealwire inbox retry --all-dead",
        "every dead letter, for example after the cause is mended"
      ]
    ],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    allDead: Flag.boolean("all-dead").pipe(Flag.withDescription("Retry all dead letters.")),
    json: options.json,
    ids: Operand.text("ID").pipe(
      Operand.withDescription("Message ID or unique prefix. Its failed attempts are forgotten."),
      Operand.repeated
    )
  },
  ({ inbox, allDead, json, ids }) =>
    Effect.gen(function* () {
      if (allDead === ids.length > 0)
        return yield* Effect.fail(
          InboxAt.usageError(
            allDead
              ? "--all-dead cannot be combined with IDs: it retries every dead letter"
              : "name the messages by their IDs (see: sealwire inbox list --dead), or use --all-dead"
          )
        )
      const retry = Effect.gen(function* () {
        // Finds every message before it changes any.
        const found = yield* Effect.forEach(ids, InboxAt.findMessage)
        const which = allDead ? "dead" : found.map(({ sequence }) => sequence)
        return yield* (yield* InboxMessages).retry(which)
      })
      const messages = yield* InboxAt.withMessages(inbox, retry)
      yield* (yield* Report).emit(Event.InboxRetried({ messages }), {
        json,
        wire: false,
        exact: false
      })
    })
)
