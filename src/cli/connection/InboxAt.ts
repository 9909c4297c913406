// The options of inboxes, and what the `inbox` commands share.
import { quoted, shown } from "../../bytes/excerpt.ts"
import * as Flag from "../arguments/Flag.ts"
import * as ValidationError from "@effect/cli/ValidationError"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Hex from "../../bytes/Hex.ts"
import { Inbox, InboxMessages } from "../../services/inbox/Inbox.ts"
import { InboxRefused, type InboxUnusable } from "../../services/inbox/InboxErrors.ts"
import type { HandlerOptions } from "../../services/inbox/InboxKind.ts"
import { kindOf, kinds } from "../../services/inbox/kinds/index.ts"
import { limits as inboxLimits } from "../../services/inbox/limits.ts"
import type { StoredMessage } from "../../services/inbox/StoredMessage.ts"
import { duration, optionError } from "../arguments/options.ts"
import type { Snapshot } from "../output/Status.ts"
import { plural } from "../output/events/phrases.ts"
import * as standardOutput from "../output/standardOutput.ts"

const problems = {
  malformed: "invalid message ID (1 to 32 hexadecimal digits)",
  unknown: "no message with this ID",
  ambiguous: "ambiguous message ID, several messages match"
} as const

/** A message ID or prefix does not name exactly one message that is not acknowledged. */
export class MessageUnknown extends Data.TaggedError("MessageUnknown")<{
  readonly idPrefix: string
  readonly problem: keyof typeof problems
}> {
  override get message(): string {
    return `${problems[this.problem]}: ${shown(this.idPrefix)}; see: sealwire inbox list`
  }
}

/** Commands of `inbox take --exec` or `inbox work` failed. Their messages are in the inbox. */
export class NotHandled extends Data.TaggedError("NotHandled")<{
  readonly inbox: string
  /** Messages that wait for their next attempt. */
  readonly deferred: number
  /** Messages that became dead letters. */
  readonly dead: number
}> {
  override get message(): string {
    const { inbox, deferred, dead } = this
    const waiting = deferred === 0 ? [] : [`${plural(deferred, "message")} will be tried again`]
    const buried =
      dead === 0
        ? []
        : [`${plural(dead, "message")} became ${dead === 1 ? "a dead letter" : "dead letters"}`]
    const see = `sealwire inbox list${dead === 0 ? "" : " --dead"}${argument(inbox)}`
    return `${[...waiting, ...buried].join(", ")}; see: ${see}`
  }
}

/** The beginning of an ID, which identifies a message to a person. */
export const shortId = ({ id }: Pick<StoredMessage, "id">): string => Hex.encode(id).slice(0, 12)

/** Returns the argument that names an inbox, unless it is the default. */
export const argument = (inbox: string): string =>
  inbox === defaultFile ? "" : ` --inbox ${shown(inbox)}`

/** The default inbox of the `inbox` commands. */
export const defaultFile = "./inbox.db"

const formsOf = (stores: boolean): string =>
  kinds
    .filter((kind) => kind.stores === stores)
    .map(({ form }) => form)
    .join(", ")

/** Checks the text of a reference alone, as check-config does. */
const checkReference = (
  reference: string
): Effect.Effect<string, ValidationError.ValidationError> => {
  const reason = kindOf(reference).check?.(reference)
  return reason === undefined ? Effect.succeed(reference) : optionError("inbox", reason)
}

/** Returns the layer of an inbox that stores messages. */
export const openStore = (
  reference: string,
  create: boolean
): Effect.Effect<
  Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused>,
  ValidationError.ValidationError
> => {
  const kind = kindOf(reference)
  return kind.stores
    ? orOptionError(kind.open(reference, { create }))
    : optionError("inbox", `${kind.name}: stores no messages; use ${formsOf(true)}`)
}

const orOptionError = <A>(
  opened: Either.Either<A, string>
): Effect.Effect<A, ValidationError.ValidationError> =>
  Either.match(opened, {
    onLeft: (reason) => optionError("inbox", reason),
    onRight: Effect.succeed
  })

const countOption = (name: string, description: string) =>
  Flag.text(name).pipe(
    Flag.withValue("N"),
    Flag.mapEffect((text) =>
      /^[1-9]\d{0,4}$/.test(text)
        ? Effect.succeed(Number(text))
        : optionError(name, `${quoted(text)} is not a number from 1 to 99999`)
    ),
    Flag.withDescription(description)
  )

/** Stands for the default inbox, standard output, when that is closed. */
const closedOutput = "closed:"

/** Returns whether messages would be lost: no inbox is named and standard output is closed. */
export const isClosedOutput = (inbox: Option.Option<string>): boolean =>
  Option.contains(inbox, closedOutput)

/** The inbox options of `serve`. */
export const serveOptions = {
  inbox: Flag.text("inbox").pipe(
    Flag.withValue("INBOX"),
    Flag.mapEffect(checkReference),
    Flag.optional,
    // A closed standard output is an error of `openForServing`, because check-config does not need
    // one.
    Flag.mapEffect((given) =>
      Option.isSome(given)
        ? Effect.succeed(given)
        : Effect.map(standardOutput.isOpen, (isOpen) =>
            isOpen ? Option.none() : Option.some(closedOutput)
          )
    ),
    Flag.withDescription(
      `Destination of messages; they are acknowledged once they are there: ${formsOf(true)}, or ${formsOf(false)}.`,
      "standard output"
    )
  ),
  execConcurrency: countOption(
    "exec-concurrency",
    "With exec: number of commands that run at the same time, in any order."
  ).pipe(
    Flag.needing("--inbox"),
    Flag.optional,
    Flag.withShownDefault(
      `one for each session, in order, and ${inboxLimits.execConcurrency} in total`
    )
  ),
  execTimeout: duration("exec-timeout", "With exec: time limit of a command.").pipe(
    Flag.needing("--inbox"),
    Flag.optional,
    Flag.withShownDefault(inboxLimits.execDeadline)
  )
}

interface ServingFlags {
  readonly execConcurrency: Option.Option<number>
  readonly execTimeout: Option.Option<Duration.Duration>
}

/** Fails for options of commands beside an inbox that stores messages. */
export const validate = (
  inbox: Option.Option<string>,
  { execConcurrency, execTimeout }: ServingFlags
): Effect.Effect<void, ValidationError.ValidationError> =>
  (Option.isSome(execConcurrency) || Option.isSome(execTimeout)) &&
  Option.exists(inbox, (reference) => reference !== closedOutput && kindOf(reference).stores)
    ? optionError("inbox", "--exec-concurrency and --exec-timeout need --inbox exec:COMMAND")
    : Effect.void

/** Returns the layer of the inbox of a server. */
export const openForServing = (
  reference: string,
  { execConcurrency, execTimeout }: ServingFlags
): Effect.Effect<
  Layer.Layer<Inbox, InboxUnusable | InboxRefused>,
  ValidationError.ValidationError
> => {
  if (reference === closedOutput)
    return optionError(
      "inbox",
      "standard output, the default inbox, is closed and messages would be lost; name an inbox"
    )
  const kind = kindOf(reference)
  if (!kind.stores)
    return orOptionError(
      kind.open(reference, {
        ...handlerOptions(execTimeout),
        ...(Option.isSome(execConcurrency) ? { concurrency: execConcurrency.value } : {})
      })
    )
  return openStore(reference, true)
}

/** Time limit for an inbox to report its depth. */
const depthTimeout = "2 seconds"

/**
 * Returns the depth of an inbox that stores messages. A failure becomes part of the result: the
 * rest of the status is still of use.
 */
export const inboxDepth = (built: Context.Context<Inbox>): Effect.Effect<Snapshot["inbox"]> =>
  Option.match(Context.getOption(built as Context.Context<Inbox | InboxMessages>, InboxMessages), {
    onNone: () => Effect.succeed(undefined),
    onSome: ({ depth }) =>
      Effect.disconnect(depth).pipe(
        Effect.timeoutFail({
          duration: depthTimeout,
          onTimeout: () =>
            new InboxRefused({ reason: `no response within ${depthTimeout}`, retry: true })
        }),
        Effect.match({
          onSuccess: ({ messages, oldest, dead }) => ({
            messages,
            dead,
            ...(oldest === undefined ? {} : { oldest })
          }),
          onFailure: ({ reason }) => ({ fault: reason })
        })
      )
  })

/** Returns how a command for messages runs: its output is logged. */
export const handlerOptions = (deadline: Option.Option<Duration.Duration>): HandlerOptions => ({
  ...(Option.isSome(deadline) ? { deadline: deadline.value } : {}),
  onLine: (line) => Effect.logInfo(`the command: ${line}`)
})

/** `--exec` of `inbox take`. */
export const exec = Flag.text("exec").pipe(
  Flag.mapEffect((text) =>
    text.trim() === ""
      ? optionError("exec", "without a command every message would be discarded; name a command")
      : Effect.succeed(text)
  )
)

const inbox = Flag.text("inbox").pipe(
  Flag.withValue("INBOX"),
  Flag.mapEffect(checkReference),
  Flag.withDefault(defaultFile),
  Flag.withDescription(`The inbox: ${formsOf(true)}.`)
)

export const options = { inbox, countOption }

/** Runs an effect with the messages of an inbox that exists. */
export const withMessages = <A, E>(
  reference: string,
  use: Effect.Effect<A, E, InboxMessages>
): Effect.Effect<A, E | InboxUnusable | InboxRefused | ValidationError.ValidationError> =>
  Effect.flatMap(openStore(reference, false), (layer) => Effect.provide(use, layer))

/** Finds the pending message or dead letter with an ID or a unique prefix of it. */
export const findMessage = (
  idPrefix: string
): Effect.Effect<StoredMessage, MessageUnknown | InboxRefused, InboxMessages> =>
  Effect.gen(function* () {
    if (!/^[0-9a-fA-F]{1,32}$/.test(idPrefix))
      return yield* new MessageUnknown({ idPrefix, problem: "malformed" })
    const [found, another] = yield* (yield* InboxMessages).find(idPrefix.toLowerCase())
    if (found === undefined) return yield* new MessageUnknown({ idPrefix, problem: "unknown" })
    if (another !== undefined) return yield* new MessageUnknown({ idPrefix, problem: "ambiguous" })
    return found
  })

/** Returns a usage error that belongs to no single option. */
export const usageError = (detail: string) => ValidationError.invalidValue(HelpDoc.p(detail))
