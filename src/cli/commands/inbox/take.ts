import * as Options from "@effect/cli/Options"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Hex from "../../../bytes/Hex.ts"
import * as ExecInbox from "../../../services/inbox/ExecInbox.ts"
import { Inbox, InboxMessages, type LeasedMessage } from "../../../services/inbox/Inbox.ts"
import type { InboxRefused } from "../../../services/inbox/InboxErrors.ts"
import { limits } from "../../../services/inbox/limits.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

const defaultLease = Duration.minutes(1)

export const inboxTake = commandSpec(
  ["inbox", "take"],
  "lease the oldest messages; unacknowledged ones are redelivered when the lease expires",
  [
    ["sealwire inbox take --ack", "print and acknowledge the oldest message"],
    [
      "sealwire inbox take --wait --exec ./handle.sh",
      "handle pending and new messages; exit status 0 acknowledges"
    ],
    [
      "sealwire inbox take --count 10 --lease 10m --json",
      "print ten messages with their IDs; acknowledge them with: sealwire inbox done ID…"
    ]
  ],
  {
    inbox: InboxAt.options.inbox,
    count: InboxAt.options
      .countOption(
        "count",
        "Maximum number of messages. Default: one; with --wait or --exec, no limit."
      )
      .pipe(Options.optional),
    lease: options
      .duration("lease", `Duration of a lease. Default: ${Duration.format(defaultLease)}.`)
      .pipe(Options.withDefault(defaultLease)),
    ack: Options.boolean("ack").pipe(
      Options.withDescription(
        `Acknowledge messages once they are printed, up to ${limits.leaseMessages} at a time.`
      )
    ),
    exec: InboxAt.exec.pipe(
      Options.withPseudoName("COMMAND"),
      Options.optional,
      Options.withDescription(
        "Run a command for each message, which it reads from standard input. Exit status 0 acknowledges the message; any other releases it and ends with exit code 7. Time limit: the lease."
      )
    ),
    wait: Options.boolean("wait").pipe(
      Options.withDescription("Wait for new messages when none is pending.")
    ),
    json: options.json
  },
  ({ inbox, count, lease, ack, exec, wait, json }) =>
    Effect.gen(function* () {
      const report = yield* Report
      if (Option.isNone(exec)) yield* report.needsOutput
      const isUnlimited = wait || Option.isSome(exec)
      const maxCount = Option.getOrElse(count, () => (isUnlimited ? Number.MAX_SAFE_INTEGER : 1))
      if (ack && Option.isSome(exec))
        return yield* Effect.fail(
          InboxAt.usageError(
            "--ack cannot be combined with --exec: the exit status of the command acknowledges"
          )
        )

      const print = (message: LeasedMessage) =>
        report.emit(Event.InboxMessage({ stored: message }), {
          json,
          wire: false,
          exact: maxCount === 1
        })
      const printAll = (batch: ReadonlyArray<LeasedMessage>) =>
        Effect.gen(function* () {
          const messages = yield* InboxMessages
          let printed = 0
          const acknowledge = Effect.suspend(() =>
            ack
              ? messages.acknowledge(batch.slice(0, printed).map(({ sequence }) => sequence))
              : Effect.void
          )
          const release = Effect.suspend(() =>
            Effect.forEach(batch.slice(printed), ({ nack }) => nack)
          )
          yield* Effect.forEach(batch, (message) =>
            Effect.tap(print(message), () => Effect.sync(() => printed++))
          ).pipe(Effect.onError(() => Effect.ignore(Effect.zipRight(acknowledge, release))))
          yield* acknowledge
        })
      const runCommand = (command: string) => (message: LeasedMessage) =>
        ExecInbox.run({ ...InboxAt.handlerOptions(Option.some(lease)), command }, message.text, {
          SEALWIRE_PEER: message.name,
          SEALWIRE_ID: Hex.encode(message.id)
        }).pipe(
          Effect.mapError(({ reason }) => new InboxAt.NotHandled({ id: message.id, reason })),
          Effect.onError(() => Effect.ignore(message.nack)),
          Effect.zipRight(message.ack)
        )
      const use: (
        batch: ReadonlyArray<LeasedMessage>
      ) => Effect.Effect<void, InboxAt.NotHandled | InboxRefused, InboxMessages> = Option.match(
        exec,
        {
          onNone: () => printAll,
          onSome: (command) => (batch) =>
            Effect.forEach(batch, runCommand(command), { discard: true })
        }
      )
      // The lease of a message with a command starts when the command does.
      const batch = Option.isSome(exec) ? 1 : limits.leaseMessages
      let taken = 0
      const messages = Stream.runForEach(
        Inbox.consumeBatches({ lease, wait, batch, count: maxCount }),
        (leased) => {
          taken += leased.length
          return use(leased)
        }
      )
      yield* InboxAt.withMessages(inbox, messages)
      if (taken === 0) yield* Effect.logInfo("no pending message")
    })
)
