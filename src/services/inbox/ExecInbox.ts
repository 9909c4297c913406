// Runs a command for each message: the text on standard input, the sender and id in the
// environment. INBOX.md.
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Hex from "../../bytes/Hex.ts"
import * as Printable from "../../bytes/Printable.ts"
import * as Subprocess from "../../keys/Subprocess.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { Deduplicator } from "../messages/Deduplicator.ts"
import { budgetKey } from "../PeerBudgets.ts"
import { FairSlots } from "./FairSlots.ts"
import { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import { HandlingFailed, type Verdict } from "./Redelivery.ts"
import { failuresOf } from "./StoredMessage.ts"
import type { Handle } from "./Worker.ts"
import { limits as messageLimits } from "../messages/MessageFrame.ts"
import type { RemotePeer } from "../Service.ts"
import { senderId, type IncomingMessage, type MessageHandler } from "../messages/MessageHandler.ts"

/** The options of an inbox that runs a command for each message. */
export interface Options {
  /** Run by /bin/sh, in its own session and process group, without a terminal. */
  readonly command: string
  /**
   * Time limit; the whole process group is killed when it expires. Default: `limits.execDeadline`.
   */
  readonly deadline?: Duration.DurationInput
  /**
   * Number of commands that run at the same time, in any order. Default: one for each session, in
   * order, and `limits.execConcurrency` over all sessions. One peer has at most
   * `limits.execShare` of them.
   */
  readonly concurrency?: number
  /** Called with each output line that is not part of a reply, escaped and within the limits. */
  readonly onLine: (line: string) => Effect.Effect<void>
}

/** EX_TEMPFAIL of sysexits.h: "temporary failure; user is invited to retry". */
const temporaryFailure = 75

/**
 * The exit statuses, beside 0, with a meaning of their own: EX_DATAERR, EX_TEMPFAIL, and those with
 * which a shell reports a program that it cannot run or find. No message is to blame for these.
 */
const verdicts: Readonly<Record<number, Verdict>> = {
  65: "dead",
  [temporaryFailure]: "later",
  126: "later",
  127: "later"
}

/**
 * Returns the environment variables that describe a message to its command. `ChildEnvironment`
 * removes those that hold secrets.
 */
export const messageEnvironment = (
  { id }: IncomingMessage,
  { peer, from, publicKey }: RemotePeer
): Readonly<Record<string, string | undefined>> => ({
  SEALWIRE_PEER: peer,
  SEALWIRE_FROM: from,
  SEALWIRE_ID: Hex.encode(id),
  SEALWIRE_PUBLIC_KEY: publicKey === undefined ? undefined : PublicKey.encode(publicKey),
  SEALWIRE_REPLY: undefined
})

type Environment = Readonly<Record<string, string | undefined>>
type RunOptions = Omit<Options, "concurrency">

/**
 * Runs the command. Status 0 accepts the message, 75 refuses it for now, any other status for good.
 */
export const run = (
  options: RunOptions,
  text: Uint8Array,
  env: Environment
): Effect.Effect<void, InboxRefused> => Effect.asVoid(start(options, text, env))

/** Runs the command and returns its standard output, which is the reply. */
export const reply = (
  options: RunOptions,
  text: Uint8Array,
  env: Environment
): Effect.Effect<Uint8Array, InboxRefused> =>
  start(options, text, { ...env, SEALWIRE_REPLY: "1" }, messageLimits.replyBytes)

/**
 * Returns the handler of a worker that runs the command for each message. Status 0 means handled,
 * 75, 126 and 127 later, 65 a dead letter at once; any other status, a signal and the deadline count
 * as a failed attempt. The reason ends with the last line of the output.
 */
export const handler =
  (options: RunOptions): Handle<never> =>
  (stored) =>
    Effect.gen(function* () {
      const lines = new LastLine(options.onLine)
      const { status } = yield* execute({ ...options, onLine: lines.onLine }, stored.text, {
        SEALWIRE_PEER: stored.name,
        SEALWIRE_ID: Hex.encode(stored.id),
        SEALWIRE_ATTEMPT: String(failuresOf(stored))
      }).pipe(
        Effect.mapError(
          (clause) =>
            new HandlingFailed({ reason: `the command ${clause}${lines.last}`, verdict: "failed" })
        )
      )
      if (status !== 0)
        return yield* new HandlingFailed({
          reason: `the command exited with status ${status}${lines.last}`,
          verdict: verdicts[status] ?? "failed"
        })
    })

/** Passes lines on, and keeps the last one. */
class LastLine {
  /** The line as ": line"; "" before the first. */
  last = ""
  readonly onLine: Options["onLine"]

  constructor(onLine: Options["onLine"]) {
    this.onLine = (line) => {
      this.last = `: ${line}`
      return onLine(line)
    }
  }
}

const start = (
  options: RunOptions,
  text: Uint8Array,
  env: Environment,
  maxOutput?: number
): Effect.Effect<Uint8Array, InboxRefused> =>
  Effect.gen(function* () {
    const { status, output } = yield* Effect.mapError(
      execute(options, text, env, maxOutput),
      (clause) => new InboxRefused({ reason: `the command ${clause}`, retry: true })
    )
    if (maxOutput !== undefined && output.length > maxOutput)
      return yield* new InboxRefused({
        reason: `the output of the command exceeds ${maxOutput.toLocaleString("en-US")} bytes, the limit of a reply`,
        retry: false
      })
    if (status !== 0)
      return yield* new InboxRefused({
        reason: `the command exited with status ${status}`,
        retry: status === temporaryFailure
      })
    return output
  })

/** Runs the command to its end. Fails with a clause when it does not end by itself. */
const execute = (
  { command, deadline = limits.execDeadline, onLine }: RunOptions,
  text: Uint8Array,
  env: Environment,
  maxOutput?: number
): Effect.Effect<Subprocess.Outcome, string> =>
  Effect.gen(function* () {
    const fork = Runtime.runFork(yield* Effect.runtime<never>())
    const lines = new OutputLines((line) => void fork(onLine(line)))
    return yield* Subprocess.run({
      program: "/bin/sh",
      args: ["-c", command],
      input: text,
      deadline,
      env,
      ...(maxOutput === undefined ? {} : { maxOutput }),
      onOutput: (chunk) => lines.push(chunk)
    }).pipe(Effect.ensuring(Effect.sync(() => lines.end())))
  })

export const make = ({
  concurrency,
  ...options
}: Options): Effect.Effect<MessageHandler<InboxRefused>> =>
  Effect.sync(() => {
    const slots = new FairSlots(concurrency ?? limits.execConcurrency)
    const handled = new Deduplicator()
    return {
      handle: (messages, sender) =>
        forEachInOrder(
          messages,
          (message) =>
            handled.handleOnce(senderId(sender), [message], () =>
              slots.withSlot(
                budgetKey(sender),
                run(options, message.text, messageEnvironment(message, sender))
              )
            ),
          concurrency ?? 1
        ),
      // Called once for each id: MessageService caches the replies.
      reply: (message, sender) =>
        slots.withSlot(
          budgetKey(sender),
          reply(options, message.text, messageEnvironment(message, sender))
        )
    }
  })

/**
 * Handles messages with bounded concurrency, started in their order. After a failure no message is
 * started, and the running ones finish: every message before the first failed one is then handled
 * and can be acknowledged.
 */
const forEachInOrder = (
  messages: ReadonlyArray<IncomingMessage>,
  handle: (message: IncomingMessage) => Effect.Effect<void, InboxRefused>,
  concurrency: number
): Effect.Effect<void, InboxRefused> =>
  Effect.suspend(() => {
    let first: { readonly handled: number; readonly error: InboxRefused } | undefined
    const handleOne = (message: IncomingMessage, index: number) =>
      Effect.suspend(() => (first === undefined ? handle(message) : Effect.void)).pipe(
        Effect.catchAll((error) =>
          Effect.sync(() => {
            if (first === undefined || index < first.handled) first = { handled: index, error }
          })
        )
      )
    return Effect.forEach(messages, handleOne, { concurrency, discard: true }).pipe(
      Effect.flatMap(() => {
        if (first === undefined) return Effect.void
        const { handled, error } = first
        return new InboxRefused({ reason: error.reason, retry: error.retry, handled })
      })
    )
  })

/**
 * Splits output into escaped lines, bounded in length and number: the first `execLines`, and at the
 * end the last one, which tells why a command failed. It has no FrameBuffer, because it keeps the
 * start of a line that is too long and drops the rest, where a frame is refused.
 */
class OutputLines {
  readonly #onLine: (line: string) => void
  #rest = Buffer.alloc(0)
  #count = 0
  /** The latest line beyond the first `execLines`. */
  #last: Uint8Array | undefined

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  push(chunk: Uint8Array): void {
    const all = Buffer.concat([this.#rest, chunk])
    let start = 0
    for (let end = all.indexOf(0x0a); end >= 0; end = all.indexOf(0x0a, start)) {
      this.#emit(all.subarray(start, end))
      start = end + 1
    }
    this.#rest = Buffer.from(all.subarray(start, start + limits.execLineCharacters))
  }

  end(): void {
    if (this.#rest.length > 0) this.#emit(this.#rest)
    this.#rest = Buffer.alloc(0)
    if (this.#last !== undefined) this.#print(this.#last)
    this.#last = undefined
  }

  #emit(bytes: Uint8Array): void {
    this.#count++
    if (this.#count <= limits.execLines) return this.#print(bytes)
    if (this.#count === limits.execLines + 2) this.#onLine("(further output omitted)")
    this.#last = bytes
  }

  #print(bytes: Uint8Array): void {
    this.#onLine(Printable.line(Printable.bytes(bytes.subarray(0, limits.execLineCharacters))))
  }
}
