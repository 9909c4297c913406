import * as Options from "@effect/cli/Options"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Hex from "../../../bytes/Hex.ts"
import * as ExecInbox from "../../../services/inbox/ExecInbox.ts"
import { Inbox, type LeasedMessage } from "../../../services/inbox/Inbox.ts"
import type { InboxRefused } from "../../../services/inbox/InboxErrors.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "./InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

/** How long a message is kept from others, unless told otherwise. */
const lease = Duration.minutes(1)

export const inboxTake = commandSpec(
  ["inbox", "take"],
  "take the oldest messages; each is another's again when its lease is over and it was not done",
  [
    ["sealwire inbox take --ack", "print the oldest one, and be done with it"],
    [
      "sealwire inbox take --wait --exec ./handle.sh",
      "handle what is there and what comes: exit status 0 is done"
    ],
    [
      "sealwire inbox take --count 10 --lease 10m --json",
      "ten, with their ids; then: sealwire inbox done ID…"
    ]
  ],
  {
    inbox: InboxAt.options.inbox,
    count: InboxAt.options
      .wholeNumber("count", "At most so many. Default: one; with --wait or --exec, all.")
      .pipe(Options.optional),
    lease: options
      .duration(
        "lease",
        `How long a message is kept from others. Default: ${Duration.format(lease)}.`
      )
      .pipe(Options.withDefault(lease)),
    ack: Options.boolean("ack").pipe(
      Options.withDescription("Be done with each message as soon as it is written out.")
    ),
    exec: InboxAt.exec.pipe(
      Options.withPseudoName("COMMAND"),
      Options.optional,
      Options.withDescription(
        "Run for each message, which it gets on standard input: status 0 is done; anything else gives the message back and ends this. It has as long as the lease."
      )
    ),
    wait: Options.boolean("wait").pipe(
      Options.withDescription("Go on waiting for messages when there are none left.")
    ),
    json: options.json
  },
  ({ inbox, count, lease, ack, exec, wait, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      const all = wait || Option.isSome(exec)
      const most = Option.getOrElse(count, () => (all ? Number.MAX_SAFE_INTEGER : 1))
      if (ack && Option.isSome(exec))
        return yield* Effect.fail(
          InboxAt.usage(
            "--ack and --exec: the command's exit status says whether a message is done"
          )
        )

      const print = (taken: LeasedMessage) =>
        Effect.zipRight(
          report.emit(Event.InboxMessage({ stored: taken }), {
            json,
            wire: false,
            exact: most === 1
          }),
          ack ? taken.ack : Effect.void
        )
      const handle = (command: string) => (taken: LeasedMessage) =>
        ExecInbox.run(InboxAt.execOf(command, Option.some(lease)), taken.text, {
          SEALWIRE_PEER: taken.name,
          SEALWIRE_ID: Hex.encode(taken.id),
          SEALWIRE_PASSPHRASE: undefined
        }).pipe(
          Effect.mapError(({ reason }) => new InboxAt.NotHandled({ id: taken.id, reason })),
          Effect.onError(() => Effect.ignore(taken.nack)),
          Effect.zipRight(taken.ack)
        )
      const use: (taken: LeasedMessage) => Effect.Effect<void, InboxAt.NotHandled | InboxRefused> =
        Option.match(exec, {
          onNone: () => print,
          onSome: handle
        })
      let taken = 0
      const messages = Stream.runForEach(
        Stream.take(Inbox.consume({ lease, wait }), most),
        (message) => {
          taken++
          return use(message)
        }
      )
      yield* InboxAt.withMessages(inbox, messages)
      if (taken === 0) yield* Effect.logInfo("there is no message to take")
    })
)
