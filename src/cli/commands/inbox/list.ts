import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Hex from "../../../bytes/Hex.ts"
import * as Printable from "../../../bytes/Printable.ts"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import type { StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "./InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { storedMessageFields } from "../../output/storedFields.ts"
import { contentFields } from "../../output/events/phrases.ts"

/** Unless told otherwise. */
const limit = 100
/** How much of each text a person sees, and a machine. */
const shownBytes = 60
const jsonBytes = 1024

export const inboxList = commandSpec(
  ["inbox", "list"],
  "list the messages that serve --inbox has stored and nobody has done with, the oldest first",
  [
    [
      "sealwire inbox list",
      `what is in ${InboxAt.defaultFile}: id, time, peer, bytes, the beginning of the text`
    ],
    [
      "sealwire inbox list --inbox env:INBOX --limit 1000 --json",
      "of another inbox, one object a message"
    ]
  ],
  {
    inbox: InboxAt.options.inbox,
    limit: InboxAt.options
      .wholeNumber("limit", `At most so many. Default: ${limit}.`)
      .pipe(Options.optional),
    json: options.json
  },
  ({ inbox, limit: wanted, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const most = Option.getOrElse(wanted, () => limit)
      const list = Effect.flatMap(InboxMessages, (messages) =>
        messages.list({ limit: most, textBytes: json ? jsonBytes : shownBytes })
      )
      const found = yield* InboxAt.withMessages(inbox, list)
      if (found.length === 0)
        return yield* json ? Effect.void : Effect.logInfo("the inbox is empty")
      yield* report.print(found.map(json ? objectOf : lineOf).join("\n"))
      if (found.length === most)
        yield* Effect.logInfo(`there may be more than these ${most}; --limit shows them`)
    })
)

const lineOf = ({ id, receivedAt, name, size, text, attempts }: StoredMessage): string =>
  [
    Hex.encode(id).slice(0, 12),
    `${new Date(receivedAt).toISOString().slice(0, 19)}Z`,
    Printable.line(name),
    `${size} B`,
    ...(attempts > 0 ? [`taken ${attempts}x`] : []),
    Printable.line(Printable.bytes(text)) + (size > text.length ? "…" : "")
  ].join("  ")

const objectOf = (stored: StoredMessage): string =>
  JSON.stringify({
    event: "inbox-message",
    ...storedMessageFields(stored),
    ...contentFields(stored.text),
    ...(stored.size > stored.text.length ? { truncated: true } : {})
  })
