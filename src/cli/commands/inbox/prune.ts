import * as Flag from "../../arguments/Flag.ts"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

export const inboxPrune = commandSpec(
  {
    path: ["inbox", "prune"],
    group: "Communicate",
    summary: "delete the records of messages that were acknowledged long ago",
    examples: [
      [
        "sealwire inbox prune --older 30d",
        "acknowledged more than 30 days ago; if sent again, they count as new"
      ],
      [
        "sealwire inbox prune --older 30d --unread",
        "also pending messages that arrived before that"
      ],
      [
        "sealwire inbox prune --older 7d --dead",
        "also messages that became dead letters before that"
      ]
    ],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    older: options.duration("older", "Minimum age: 90s, 10m, 24h or 30d."),
    unread: Flag.boolean("unread").pipe(
      Flag.withDescription("Also delete unhandled messages (data loss).")
    ),
    dead: Flag.boolean("dead").pipe(Flag.withDescription("Also delete dead letters (data loss).")),
    json: options.json
  },
  ({ inbox, older, unread, dead, json }) =>
    Effect.gen(function* () {
      const before = (yield* Clock.currentTimeMillis) - Duration.toMillis(older)
      const messages = yield* InboxAt.withMessages(
        inbox,
        Effect.flatMap(InboxMessages, (messages) =>
          messages.prune({ before, pending: unread, dead })
        )
      )
      yield* (yield* Report).emit(Event.InboxPruned({ messages }), {
        json,
        wire: false,
        exact: false
      })
    })
)
