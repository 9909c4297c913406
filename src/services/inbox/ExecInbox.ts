// A command for each message: the text on its standard input, who and which in its environment, and its exit status decides.
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Hex from "../../bytes/Hex.ts"
import * as Printable from "../../bytes/Printable.ts"
import * as Subprocess from "../../keys/Subprocess.ts"
import * as PublicKey from "../../keys/PublicKey.ts"
import { Deduplicator } from "../messages/Deduplicator.ts"
import { InboxRefused } from "./InboxErrors.ts"
import { limits } from "./limits.ts"
import { limits as messageLimits } from "../messages/MessageFrame.ts"
import type { RemotePeer } from "../Service.ts"
import { peerOf, type IncomingMessage, type MessageHandler } from "../messages/MessageHandler.ts"

/** How the command is run. */
export interface Options {
  /** Run by /bin/sh, in a session and process group of its own, without a terminal. */
  readonly command: string
  /** Past that, everything it has started is ended. Default: `limits.execDeadline`. */
  readonly deadline?: Duration.DurationInput
  /**
   * How many run at once. Without it each session has one at a time, in order, and all together `limits.execAtOnce`; with it a
   * session's messages are handled side by side, in no order.
   */
  readonly concurrency?: number
  /** Told each line that the command prints and that is no reply, safe to show and within limits. */
  readonly hear: (line: string) => Effect.Effect<void>
}

/** sysexits.h: "try again later". */
const temporaryFailure = 75

/** What a message is, for the environment of its command. */
export const environmentOf = (
  { id }: IncomingMessage,
  { peer, from, publicKey }: RemotePeer
): Readonly<Record<string, string | undefined>> => ({
  SEALWIRE_PEER: peer,
  SEALWIRE_FROM: from,
  SEALWIRE_ID: Hex.encode(id),
  SEALWIRE_PUBLIC_KEY: publicKey === undefined ? undefined : PublicKey.encode(publicKey),
  SEALWIRE_REPLY: undefined,
  // Opens the server's key, and is nobody else's.
  SEALWIRE_PASSPHRASE: undefined
})

type Environment = Readonly<Record<string, string | undefined>>
type Running = Omit<Options, "concurrency">

/** Status 0 takes the message, 75 refuses it for now, anything else for ever. */
export const run = (
  options: Running,
  text: Uint8Array,
  env: Environment
): Effect.Effect<void, InboxRefused> => Effect.asVoid(start(options, text, env))

/** As `run`; what it prints on standard output is its reply. */
export const ask = (
  options: Running,
  text: Uint8Array,
  env: Environment
): Effect.Effect<Uint8Array, InboxRefused> =>
  start(options, text, { ...env, SEALWIRE_REPLY: "1" }, messageLimits.replyBytes)

const start = (
  { command, deadline = limits.execDeadline, hear }: Running,
  text: Uint8Array,
  env: Environment,
  most?: number
): Effect.Effect<Uint8Array, InboxRefused> =>
  Effect.gen(function* () {
    const fork = Runtime.runFork(yield* Effect.runtime<never>())
    const lines = new Lines((line) => void fork(hear(line)))
    const { status, output } = yield* Subprocess.run({
      program: "/bin/sh",
      args: ["-c", command],
      input: text,
      deadline,
      env,
      ...(most === undefined ? {} : { maxOutput: most }),
      onOutput: (chunk) => lines.push(chunk)
    }).pipe(
      Effect.mapError(
        (clause) => new InboxRefused({ reason: `the command ${clause}`, retry: true })
      ),
      Effect.ensuring(Effect.sync(() => lines.end()))
    )
    if (most !== undefined && output.length > most)
      return yield* new InboxRefused({
        reason: `the command printed more than the ${most.toLocaleString("en-US")} bytes that a reply may have`,
        retry: false
      })
    if (status !== 0)
      return yield* new InboxRefused({
        reason: `the command ended with status ${status}`,
        retry: status === temporaryFailure
      })
    return output
  })

export const make = ({
  concurrency,
  ...options
}: Options): Effect.Effect<MessageHandler<InboxRefused>> =>
  Effect.map(Effect.makeSemaphore(concurrency ?? limits.execAtOnce), (running) => {
    const handled = new Deduplicator()
    return {
      store: (messages, sender) =>
        inOrder(
          messages,
          (message) =>
            handled.once(peerOf(sender), [message], () =>
              running.withPermits(1)(run(options, message.text, environmentOf(message, sender)))
            ),
          concurrency ?? 1
        ),
      // Once for each id: Messages.ts.
      answer: (message, sender) =>
        running.withPermits(1)(ask(options, message.text, environmentOf(message, sender)))
    }
  })

/**
 * So many at once, begun in their order. After a failure none is begun any more, and those that run come to their end: so all before the
 * one that failed are handled, and can be told of.
 */
const inOrder = (
  messages: ReadonlyArray<IncomingMessage>,
  handle: (message: IncomingMessage) => Effect.Effect<void, InboxRefused>,
  concurrency: number
): Effect.Effect<void, InboxRefused> =>
  Effect.suspend(() => {
    let first: { readonly handled: number; readonly error: InboxRefused } | undefined
    const one = (message: IncomingMessage, index: number) =>
      Effect.suspend(() => (first === undefined ? handle(message) : Effect.void)).pipe(
        Effect.catchAll((error) =>
          Effect.sync(() => {
            if (first === undefined || index < first.handled) first = { handled: index, error }
          })
        )
      )
    return Effect.forEach(messages, one, { concurrency, discard: true }).pipe(
      Effect.flatMap(() => {
        if (first === undefined) return Effect.void
        const { handled, error } = first
        return new InboxRefused({ reason: error.reason, retry: error.retry, handled })
      })
    )
  })

/** Output becomes lines: bounded in length and number, escaped. */
class Lines {
  readonly #hear: (line: string) => void
  #rest = Buffer.alloc(0)
  #count = 0

  constructor(hear: (line: string) => void) {
    this.#hear = hear
  }

  push(chunk: Uint8Array): void {
    if (this.#count > limits.execLines) return
    const all = Buffer.concat([this.#rest, chunk])
    let at = 0
    for (let end = all.indexOf(0x0a, at); end >= 0; end = all.indexOf(0x0a, at)) {
      this.#line(all.subarray(at, end))
      at = end + 1
    }
    // Of a line without an end the beginning is kept.
    this.#rest = Buffer.from(all.subarray(at, at + limits.execLineCharacters))
  }

  end(): void {
    if (this.#rest.length > 0) this.#line(this.#rest)
    this.#rest = Buffer.alloc(0)
  }

  #line(bytes: Uint8Array): void {
    this.#count++
    if (this.#count <= limits.execLines)
      this.#hear(Printable.line(Printable.bytes(bytes.subarray(0, limits.execLineCharacters))))
    else if (this.#count === limits.execLines + 1) this.#hear("(it prints more, which is left out)")
  }
}
