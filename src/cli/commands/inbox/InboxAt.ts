// Which inbox a reference names, and what the `inbox` commands have in common.
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Hex from "../../../bytes/Hex.ts"
import * as Printable from "../../../bytes/Printable.ts"
import type { Options as ExecOptions } from "../../../services/inbox/ExecInbox.ts"
import { Inbox, InboxMessages } from "../../../services/inbox/Inbox.ts"
import { InboxRefused, type InboxUnusable } from "../../../services/inbox/InboxErrors.ts"
import { limits } from "../../../services/inbox/limits.ts"
import type { StoredMessage } from "../../../services/inbox/StoredMessage.ts"
import { duration, optionError } from "../../arguments/options.ts"
import type { Snapshot } from "../../output/Status.ts"
import * as standardOutput from "../../output/standardOutput.ts"

/** No message in the inbox has such an id, or several have. */
export class MessageUnknown extends Data.TaggedError("MessageUnknown")<{
  readonly wanted: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.detail} ${Printable.line(this.wanted)}; sealwire inbox list shows what is there`
  }
}

/** The command that was to handle a message did not; the message was given back. */
export class NotHandled extends Data.TaggedError("NotHandled")<{
  readonly id: Uint8Array
  readonly reason: string
}> {
  override get message(): string {
    return `${Hex.encode(this.id).slice(0, 12)} stays in the inbox: ${this.reason}`
  }
}

/** Where `inbox` looks, unless told otherwise. */
export const defaultFile = "./inbox.db"

type Keeping = Layer.Layer<Inbox | InboxMessages, InboxUnusable | InboxRefused>

/** Where messages can be kept: by the beginning of the reference; what begins with none of them is a SQLite file. */
const keeping: ReadonlyArray<
  readonly [
    begin: string,
    open: (reference: string) => Effect.Effect<Keeping, ValidationError.ValidationError>
  ]
> = [
  ["postgres://", (reference) => postgres(reference)],
  ["postgresql://", (reference) => postgres(reference)],
  ["env:", (reference) => fromEnvironment(reference.slice("env:".length))]
]

const execScheme = "exec:"

export const places =
  "a file (SQLite), postgres://…, env:NAME (a variable that holds such a URL, where a password may stand in it)"

/** A command that is none takes every message, and all are gone. */
const isCommand = (text: string): boolean => text.trim() !== ""

/** The reference, where nothing is wrong with it whatever lies behind: check-config has to see it. */
const written = (reference: string): Effect.Effect<string, ValidationError.ValidationError> => {
  if (reference.startsWith(execScheme) && !isCommand(reference.slice(execScheme.length)))
    return optionError(
      "inbox",
      "exec: without a command would throw every message away; name one: exec:COMMAND"
    )
  return Effect.as(/^postgres(ql)?:/.test(reference) ? postgres(reference) : Effect.void, reference)
}

/** The inbox that keeps messages there. */
export const open = (
  reference: string,
  create: boolean
): Effect.Effect<Keeping, ValidationError.ValidationError> => {
  if (reference.startsWith(execScheme))
    return optionError("inbox", `a command keeps no messages; it is ${places}`)
  const found = keeping.find(([begin]) => reference.startsWith(begin))
  return found === undefined
    ? Effect.succeed(Inbox.layerSqlite(reference, { create }))
    : found[1](reference)
}

const postgres = (reference: string): Effect.Effect<Keeping, ValidationError.ValidationError> =>
  Effect.flatMap(urlOf(reference), (url) =>
    // Every user of the machine can read a command line.
    url.password !== "" || url.searchParams.has("password")
      ? optionError(
          "inbox",
          "no password in a command line; use PGPASSWORD, ~/.pgpass, or env:NAME with the whole URL"
        )
      : Effect.succeed(Inbox.layerPostgres(url))
  )

const fromEnvironment = (name: string): Effect.Effect<Keeping, ValidationError.ValidationError> => {
  const value = process.env[name] ?? ""
  return /^postgres(ql)?:\/\//.test(value)
    ? Effect.map(urlOf(value), Inbox.layerPostgres)
    : optionError(
        "inbox",
        `the environment variable ${Printable.line(name)} holds no postgres:// URL`
      )
}

/** Says nothing of what stands in it. */
const urlOf = (text: string) =>
  URL.canParse(text) ? Effect.succeed(new URL(text)) : optionError("inbox", "that is no URL")

const wholeNumber = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("N"),
    Options.mapEffect((text) =>
      /^[1-9]\d{0,4}$/.test(text)
        ? Effect.succeed(Number(text))
        : optionError(name, `"${Printable.line(text)}" is no number from 1 to 99999`)
    ),
    Options.withDescription(description)
  )

/** What stands for a standard output that is not open, which is the inbox where none is named. */
const closedOutput = "closed:"

/** True where messages would be lost. */
export const isClosedOutput = (inbox: Option.Option<string>): boolean =>
  Option.contains(inbox, closedOutput)

/** Of `serve`. */
export const serving = {
  inbox: Options.text("inbox").pipe(
    Options.withPseudoName("INBOX"),
    Options.mapEffect(written),
    Options.optional,
    // Not refused here: check-config reads the options, too, and has no need of it.
    Options.map(
      Option.orElse(() => (standardOutput.isOpen() ? Option.none() : Option.some(closedOutput)))
    ),
    Options.withDescription(
      `Where messages go, before the client gets its receipt: ${places}, or exec:COMMAND (run for each message, which it gets on standard input). Default: standard output.`
    )
  ),
  execConcurrency: wholeNumber(
    "exec-concurrency",
    `With exec: so many commands at once, a session's messages in no order. Default: ${limits.execConcurrency}, and one at a time for each session.`
  ).pipe(Options.optional),
  execTimeout: duration(
    "exec-timeout",
    `With exec: how long one may take. Default: ${limits.execDeadline}.`
  ).pipe(Options.optional)
}

interface Serving {
  readonly execConcurrency: Option.Option<number>
  readonly execTimeout: Option.Option<Duration.Duration>
}

/** Where a server puts its messages. */
export const openForServing = (
  reference: string,
  { execConcurrency, execTimeout }: Serving
): Effect.Effect<
  Layer.Layer<Inbox, InboxUnusable | InboxRefused>,
  ValidationError.ValidationError
> => {
  if (reference === closedOutput)
    return optionError(
      "inbox",
      "without it messages go to standard output, and that is not open: they would be lost; name an inbox"
    )
  if (reference.startsWith(execScheme))
    return Effect.succeed(
      Inbox.layerExec({
        ...execOf(reference.slice(execScheme.length), execTimeout),
        ...(Option.isSome(execConcurrency) ? { concurrency: execConcurrency.value } : {})
      })
    )
  const exec = Option.isSome(execConcurrency) || Option.isSome(execTimeout)
  return exec
    ? optionError("inbox", "the options --exec-… belong to --inbox exec:COMMAND")
    : open(reference, true)
}

/** How long an inbox may take to say how much is in it. */
const depthPatience = "2 seconds"

/** How much is in an inbox, where it keeps messages; in time, and never a failure: who asks wants to know the rest, too. */
export const inboxDepth = (built: Context.Context<Inbox>): Effect.Effect<Snapshot["inbox"]> =>
  Option.match(Context.getOption(built as Context.Context<Inbox | InboxMessages>, InboxMessages), {
    onNone: () => Effect.succeed(undefined),
    onSome: ({ depth }) =>
      Effect.disconnect(depth).pipe(
        Effect.timeoutFail({
          duration: depthPatience,
          onTimeout: () =>
            new InboxRefused({ reason: `no answer within ${depthPatience}`, retry: true })
        }),
        Effect.match({
          onSuccess: ({ messages, oldest }) => ({
            messages,
            ...(oldest === undefined ? {} : { oldest })
          }),
          onFailure: ({ reason }) => ({ fault: reason })
        })
      )
  })

/** What a command for messages needs to know. */
export const execOf = (
  command: string,
  deadline: Option.Option<Duration.Duration>
): ExecOptions => ({
  command,
  ...(Option.isSome(deadline) ? { deadline: deadline.value } : {}),
  onLine: (line) => Effect.logInfo(`the command: ${line}`)
})

/** `--exec` of `inbox take`. */
export const exec = Options.text("exec").pipe(
  Options.mapEffect((text) =>
    isCommand(text)
      ? Effect.succeed(text)
      : optionError("exec", "without a command every message would be thrown away; name one")
  )
)

const inbox = Options.text("inbox").pipe(
  Options.withPseudoName("INBOX"),
  Options.mapEffect(written),
  Options.withDefault(defaultFile),
  Options.withDescription(`The inbox: ${places}. Default: ${defaultFile}.`)
)

export const options = { inbox, wholeNumber }

/** Runs with the messages of that inbox. */
export const withMessages = <A, E>(
  reference: string,
  use: Effect.Effect<A, E, InboxMessages>
): Effect.Effect<A, E | InboxUnusable | InboxRefused | ValidationError.ValidationError> =>
  Effect.flatMap(open(reference, false), (layer) => Effect.provide(use, layer))

/** The one message whose id begins so. */
export const findMessage = (
  wanted: string
): Effect.Effect<StoredMessage, MessageUnknown | InboxRefused, InboxMessages> =>
  Effect.gen(function* () {
    if (!/^[0-9a-fA-F]{1,32}$/.test(wanted))
      return yield* new MessageUnknown({
        wanted,
        detail: "an id is up to 32 hexadecimal digits, and that is none:"
      })
    const [found, another] = yield* (yield* InboxMessages).find(wanted.toLowerCase())
    if (found === undefined)
      return yield* new MessageUnknown({ wanted, detail: "no message has an id that begins with" })
    if (another !== undefined)
      return yield* new MessageUnknown({
        wanted,
        detail: "several messages have an id that begins with"
      })
    return found
  })

/** How a usage error is made where no option is parsed. */
export const usage = (detail: string) => ValidationError.invalidValue(HelpDoc.p(detail))
