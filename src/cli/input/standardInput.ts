import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { inputProblem, isClosed, statsOf } from "../../transports/standardStreams.ts"
import { Streams, type StandardStreams } from "../Streams.ts"
import { LineSplitter } from "./LineSplitter.ts"

/** Standard input cannot be read, or is longer than a message may be. */
export class InputFailed extends Data.TaggedError("InputFailed")<{ readonly detail: string }> {
  override get message(): string {
    return `standard input: ${this.detail}`
  }
}

/** Returns the error for one of reading. */
export const readFailed = (cause: unknown): InputFailed => {
  const { code = String(cause) } = cause as NodeJS.ErrnoException
  return new InputFailed({ detail: `cannot be read (${code})` })
}

/** The time without input after which a notice says what the command waits for. */
const noticeDelay = "2 seconds"

/** The message of the origin's client. */
export const originText = "Hello Server!"

/**
 * The messages that the arguments give. `-` stands for standard input. Without arguments: piped
 * input as one message, none if it is empty, or `fallback` if there is no pipe. A message has at
 * most `maxBytes`.
 */
export const readMessages = (
  args: ReadonlyArray<string>,
  maxBytes: number,
  fallback: ReadonlyArray<Uint8Array> = [Buffer.from(originText)]
): Effect.Effect<ReadonlyArray<Uint8Array>, InputFailed> =>
  Effect.gen(function* () {
    if (args.length > 0)
      return yield* Effect.forEach(args, (text) =>
        text === "-" ? readAll(maxBytes) : Effect.succeed(Buffer.from(text))
      )
    if (!(yield* isPiped)) {
      // A terminal and /dev/null ask for the default message; a closed descriptor is a mistake.
      const { descriptors } = yield* Streams
      if (fallback.length > 0 && isClosed(descriptors.stdin)) yield* readable
      return fallback
    }
    const text = yield* readAll(maxBytes)
    if (text.length > 0) return [text]
    // A program that has found nothing did not ask for the default message.
    yield* Effect.logInfo("standard input is empty; nothing is sent")
    return []
  })

/**
 * True if standard input is a pipe, a file, a socket or a device with content; false for a terminal
 * and /dev/null.
 */
export const isPiped: Effect.Effect<boolean> = Effect.map(Streams, ({ descriptors }) => {
  const stats = statsOf(descriptors.stdin)
  return stats !== undefined && !stats.isCharacterDevice()
})

/** Returns standard input; fails if nothing can be read from it. Every command that reads it asks. */
export const readable: Effect.Effect<StandardStreams["stdin"], InputFailed> = Effect.flatMap(
  Streams,
  ({ stdin, descriptors }) => {
    const detail = inputProblem(stdin, descriptors.stdin)
    return detail === undefined ? Effect.succeed(stdin) : new InputFailed({ detail })
  }
)

/** The next lines, at least one; undefined at the end of input. */
export type Lines = Effect.Effect<ReadonlyArray<Uint8Array> | undefined, InputFailed>

/**
 * Reads standard input line by line, as lines arrive. The newline is not part of a line, and the
 * last line may lack it. Reads only on demand. A line has at most `maxBytes`.
 */
export const readLines = (maxBytes: number): Effect.Effect<Lines, InputFailed> =>
  Effect.gen(function* () {
    const stdin = yield* readable
    if (stdin.isTTY === true) yield* Effect.logInfo("each line is a message; press Ctrl-D to end")
    const chunks = (stdin as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
    const splitter = new LineSplitter(maxBytes)
    let ended = false
    return Effect.gen(function* () {
      for (;;) {
        if (splitter.problem !== undefined)
          return yield* new InputFailed({ detail: splitter.problem })
        if (ended) return undefined
        const { done, value } = yield* Effect.tryPromise({
          try: () => chunks.next(),
          catch: readFailed
        })
        ended = done === true
        const lines = ended ? splitter.end() : splitter.push(value)
        if (lines.length > 0) return lines
      }
    })
  })

/** Reads standard input to its end, at most `maxBytes`. */
export const readAll = (maxBytes: number): Effect.Effect<Uint8Array, InputFailed> =>
  Effect.gen(function* () {
    const stdin = yield* readable
    const notice = yield* Effect.fork(
      Effect.delay(
        Effect.logInfo("waiting for the message on standard input (or give it as an argument)"),
        noticeDelay
      )
    )
    const chunks: Array<Uint8Array> = []
    yield* Effect.tryPromise({
      try: async () => {
        let length = 0
        for await (const chunk of stdin as AsyncIterable<Uint8Array>) {
          Effect.runFork(Fiber.interrupt(notice))
          chunks.push(chunk)
          length += chunk.length
          if (length > maxBytes)
            throw new InputFailed({
              detail: `has more than ${maxBytes.toLocaleString("en-US")} bytes, more than a message may have`
            })
        }
      },
      catch: (cause) => (cause instanceof InputFailed ? cause : readFailed(cause))
    })
    yield* Fiber.interrupt(notice)
    return Buffer.concat(chunks)
  })
