import * as Flag from "../../arguments/Flag.ts"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Inbox, InboxMessages, type LeasedMessage } from "../../../services/inbox/Inbox.ts"
import { limits } from "../../../services/inbox/limits.ts"
import { commandSpec } from "../../arguments/CommandSpec.ts"
import * as InboxAt from "../../connection/InboxAt.ts"
import * as InboxWorker from "../../connection/InboxWorker.ts"
import * as options from "../../arguments/options.ts"
import { Report } from "../../output/Report.ts"
import { Event } from "../../output/events/index.ts"

const defaultLease = Duration.minutes(1)

export const inboxTake = commandSpec(
  {
    path: ["inbox", "take"],
    group: "Communicate",
    summary:
      "lease the oldest messages; unacknowledged ones are redelivered when the lease expires",
    examples: [
      ["sealwire inbox take --ack", "print and acknowledge the oldest message"],
      [
        "sealwire inbox take --wait --exec ./handle.sh",
        "handle pending and new messages, one at a time; see sealwire inbox work for several"
      ],
      [
        "sealwire inbox take --count 10 --lease 10m --json",
        "print ten messages with their IDs; acknowledge them with: sealwire inbox done ID…"
      ]
    ],
    loadsKey: false
  },
  {
    inbox: InboxAt.options.inbox,
    count: InboxAt.options
      .countOption("count", "Maximum number of messages.")
      .pipe(Flag.optional, Flag.withShownDefault("one; with --wait or --exec, no limit")),
    lease: options.duration("lease", "Duration of a lease.").pipe(Flag.withDefault(defaultLease)),
    ack: Flag.boolean("ack").pipe(
      Flag.withDescription(
        `Acknowledge messages once they are printed, up to ${limits.leaseMessages} at a time.`
      )
    ),
    exec: InboxAt.exec.pipe(
      Flag.withValue("COMMAND"),
      Flag.optional,
      Flag.withDescription(
        `${InboxWorker.execDescription} Time limit: the lease. Exit code 7 if a message was not handled.`
      )
    ),
    attempts: InboxWorker.attempts.pipe(Flag.needing("--exec")),
    wait: Flag.boolean("wait").pipe(
      Flag.withDescription("Wait for new messages when none is pending.")
    ),
    json: options.json
  },
  ({ inbox, count, lease, ack, exec, attempts, wait, json }) =>
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
      const printBatch = (batch: ReadonlyArray<LeasedMessage>) =>
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
      const printAll = Effect.gen(function* () {
        let taken = 0
        const batches = Inbox.consumeBatches({
          lease,
          wait,
          batch: limits.leaseMessages,
          count: maxCount,
          // Somebody who looks at messages does not fail to handle them.
          attempts: Number.POSITIVE_INFINITY
        })
        yield* InboxAt.withMessages(
          inbox,
          Stream.runForEach(batches, (batch) => {
            taken += batch.length
            return printBatch(batch)
          })
        )
        return taken
      })
      const taken = yield* Option.match(exec, {
        onNone: () => printAll,
        onSome: (command) =>
          InboxWorker.run({
            inbox,
            command,
            deadline: lease,
            json,
            lease,
            wait,
            count: maxCount,
            order: "none",
            ...Option.match(attempts, { onNone: () => ({}), onSome: (attempts) => ({ attempts }) })
          })
      })
      if (taken === 0) yield* Effect.logInfo("no pending message")
    })
)
