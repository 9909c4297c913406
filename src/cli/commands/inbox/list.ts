import * as Flag from "../../arguments/Flag.ts"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Hex from "../../../bytes/Hex.ts"
import * as Printable from "../../../bytes/Printable.ts"
import { InboxMessages } from "../../../services/inbox/Inbox.ts"
import { failuresOf, type StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { storedMessageFields } from "../../output/storedFields.ts"
import { contentFields, plural } from "../../output/events/phrases.ts"

const defaultLimit = 100
/** Bytes of each text in a line for the user, and in a JSON object. */
const lineBytes = 60
const jsonBytes = 1024

export const inboxList = commandSpec(
  {
    path: ["inbox", "list"],
    group: "Communicate",
    summary: "list pending messages, or dead letters, oldest first",
    examples: [
      [
        "sealwire inbox list",
        `${InboxAt.defaultFile}: ID, time, peer, size and start of each message`
      ],
      [
        "sealwire inbox list --inbox env:INBOX --count 1000 --json",
        "another inbox, one JSON object per message"
      ],
      ["sealwire inbox list --dead", "messages whose attempts all failed, with the last error"]
    ],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    limit: InboxAt.options
      .countOption("count", "Maximum number of messages.")
      .pipe(
        Flag.optional,
        Flag.withShownDefault(String(defaultLimit)),
        Flag.withGuesses("--limit")
      ),
    dead: Flag.boolean("dead").pipe(
      Flag.withDescription("List dead letters: messages that are not delivered any more.")
    ),
    json: options.json
  },
  ({ inbox, limit: given, dead, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const limit = Option.getOrElse(given, () => defaultLimit)
      const list = Effect.flatMap(InboxMessages, (messages) =>
        messages.list({ limit, textBytes: json ? jsonBytes : lineBytes, dead })
      )
      const found = yield* InboxAt.withMessages(inbox, list)
      if (found.length === 0)
        return yield* json
          ? Effect.void
          : Effect.logInfo(dead ? "no dead letters" : "the inbox is empty")
      yield* report.printData(found.map(json ? formatJson : formatLine).join("\n"))
      if (found.length === limit)
        yield* Effect.logInfo(`the list ends after ${limit} messages; use --count to show more`)
    })
)

const formatLine = (stored: StoredMessage): string =>
  [
    Hex.encode(stored.id).slice(0, 12),
    formatTime(stored.receivedAt),
    Printable.line(stored.name),
    `${stored.size} B`,
    ...formatAttempts(stored),
    Printable.line(Printable.bytes(stored.text)) + (stored.size > stored.text.length ? "…" : "")
  ].join("  ")

const formatAttempts = (stored: StoredMessage): ReadonlyArray<string> => {
  const { attempts, error, retryAt, deadAt } = stored
  if (error === undefined) return attempts > 0 ? [`leased ${attempts}x`] : []
  const next =
    deadAt === undefined && retryAt > 0 ? `, next attempt after ${formatTime(retryAt)}` : ""
  return [
    `${plural(attempts, "attempt")}, ${failuresOf(stored)} failed${next}: ${Printable.line(error)}`
  ]
}

const formatTime = (millis: number): string => `${new Date(millis).toISOString().slice(0, 19)}Z`

const formatJson = (stored: StoredMessage): string =>
  Printable.json({
    event: "inbox-message",
    ...storedMessageFields(stored),
    ...contentFields(stored.text),
    ...(stored.size > stored.text.length ? { truncated: true } : {})
  })
