import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Hex from "../../../bytes/Hex.ts"
import * as Printable from "../../../bytes/Printable.ts"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import type { StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { storedMessageFields } from "../../output/storedFields.ts"
import { contentFields } from "../../output/events/phrases.ts"

const defaultLimit = 100
/** Bytes of each text in a line for the user, and in a JSON object. */
const lineBytes = 60
const jsonBytes = 1024

export const inboxList = commandSpec(
  ["inbox", "list"],
  "list pending messages, oldest first",
  [
    [
      "sealwire inbox list",
      `${InboxAt.defaultFile}: ID, time, peer, size and start of each message`
    ],
    [
      "sealwire inbox list --inbox env:INBOX --limit 1000 --json",
      "another inbox, one JSON object per message"
    ]
  ],
  {
    inbox: InboxAt.options.inbox,
    limit: InboxAt.options
      .countOption("limit", `Maximum number of messages. Default: ${defaultLimit}.`)
      .pipe(Options.optional),
    json: options.json
  },
  ({ inbox, limit: given, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const limit = Option.getOrElse(given, () => defaultLimit)
      const list = Effect.flatMap(InboxMessages, (messages) =>
        messages.list({ limit, textBytes: json ? jsonBytes : lineBytes })
      )
      const found = yield* InboxAt.withMessages(inbox, list)
      if (found.length === 0)
        return yield* json ? Effect.void : Effect.logInfo("the inbox is empty")
      yield* report.print(found.map(json ? formatJson : formatLine).join("\n"))
      if (found.length === limit)
        yield* Effect.logInfo(`the list ends after ${limit} messages; use --limit to show more`)
    })
)

const formatLine = ({ id, receivedAt, name, size, text, attempts }: StoredMessage): string =>
  [
    Hex.encode(id).slice(0, 12),
    `${new Date(receivedAt).toISOString().slice(0, 19)}Z`,
    Printable.line(name),
    `${size} B`,
    ...(attempts > 0 ? [`leased ${attempts}x`] : []),
    Printable.line(Printable.bytes(text)) + (size > text.length ? "…" : "")
  ].join("  ")

const formatJson = (stored: StoredMessage): string =>
  Printable.json({
    event: "inbox-message",
    ...storedMessageFields(stored),
    ...contentFields(stored.text),
    ...(stored.size > stored.text.length ? { truncated: true } : {})
  })
