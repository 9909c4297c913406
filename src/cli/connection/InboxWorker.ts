// A command for each message, and its events: shared by `inbox take --exec` and `inbox work`.
import * as Flag from "../arguments/Flag.ts"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ExecInbox from "../../services/inbox/ExecInbox.ts"
import { Inbox } from "../../services/inbox/Inbox.ts"
import { limits } from "../../services/inbox/limits.ts"
import { WorkEvent, type WorkOptions } from "../../services/inbox/Worker.ts"
import * as options from "../arguments/options.ts"
import { Event } from "../output/events/index.ts"
import { Report } from "../output/Report.ts"
import * as InboxAt from "./InboxAt.ts"

/** The protocol between a worker and its command. */
export const execDescription =
  "Run a command for each message, which it reads from standard input. Exit status 0: handled; 75: try again later; " +
  "65: dead letter at once; any other: a failed attempt, which is repeated after a growing pause. " +
  "Processes that it leaves in the background live on, and are not waited for."

/** `--attempts` of the commands that run a command for each message. */
export const attempts = options
  .integer("attempts", "Failed attempts after which a message becomes a dead letter.")
  .pipe(Flag.optional, Flag.withShownDefault(String(limits.attempts)))

interface Flags extends Omit<WorkOptions, "on"> {
  readonly inbox: string
  readonly command: string
  /** Time limit of the command. */
  readonly deadline: Duration.Duration
  readonly json: boolean
}

/**
 * Runs a command for each message of the inbox. Returns the number of messages that were tried.
 * Fails with NotHandled at the end if some were not handled.
 */
export const run = ({ inbox, command, deadline, json, ...work }: Flags) =>
  Effect.gen(function* () {
    const report = yield* Report
    const emit = (event: Event) => report.emit(event, { json, wire: false, exact: false })
    const counted = { tried: 0, deferred: 0, dead: 0 }
    const on = WorkEvent.$match({
      Handled: ({ message }) => {
        counted.tried++
        return emit(Event.MessageHandled({ message }))
      },
      Deferred: ({ _tag, ...deferred }) => {
        counted.tried++
        counted.deferred++
        return emit(Event.MessageDeferred(deferred))
      },
      Dead: ({ message, reason }) => {
        counted.tried++
        counted.dead++
        return emit(Event.MessageDead({ message, reason, inbox: InboxAt.argument(inbox) }))
      },
      LeaseLost: ({ message }) =>
        Effect.logWarning(
          `the lease of message ${InboxAt.shortId(message)} was lost; its command was ended`
        ),
      Unsettled: ({ message, reason }) =>
        Effect.logWarning(
          `the end of message ${InboxAt.shortId(message)} was not stored, and it is delivered again: ${reason}`
        ),
      Unavailable: ({ reason, millis }) =>
        Effect.logWarning(
          `inbox unavailable: ${reason}; trying again in ${(millis / 1000).toFixed(1)} s`
        )
    })
    const handle = ExecInbox.handler({
      ...InboxAt.handlerOptions(Option.some(deadline)),
      command
    })
    yield* InboxAt.withMessages(inbox, Inbox.work(handle, { ...work, on }))
    const { tried, deferred, dead } = counted
    if (deferred + dead > 0) return yield* new InboxAt.NotHandled({ inbox, deferred, dead })
    return tried
  })
