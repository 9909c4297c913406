import { fstatSync, type Stats } from "node:fs"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Streams } from "../Streams.ts"
import { LineSplitter } from "./LineSplitter.ts"

/** Standard input cannot be read, or is longer than a message may be. */
export class InputFailed extends Data.TaggedError("InputFailed")<{ readonly detail: string }> {
  override get message(): string {
    return `standard input: ${this.detail}`
  }
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
    if (!(yield* isPiped)) return fallback
    const text = yield* readAll(maxBytes)
    if (text.length > 0) return [text]
    // A program that has found nothing did not ask for the default message.
    yield* Effect.logInfo("standard input is empty; nothing is sent")
    return []
  })

/** True if standard input is a pipe, a file or a socket; false for a terminal and /dev/null. */
export const isPiped: Effect.Effect<boolean> = Effect.map(Streams, ({ descriptors }) => {
  const stats = statsOf(descriptors.stdin)
  return (
    stats !== undefined &&
    (stats.isFIFO() || stats.isFile() || stats.isSocket() || stats.isDirectory())
  )
})

const isDirectory: Effect.Effect<boolean> = Effect.map(
  Streams,
  ({ descriptors }) => statsOf(descriptors.stdin)?.isDirectory() === true
)

/** The stats of the descriptor; undefined if it is not open. */
const statsOf = (descriptor: number): Stats | undefined => {
  try {
    return fstatSync(descriptor)
  } catch {
    return undefined
  }
}

/** The next lines, at least one; undefined at the end of input. */
export type Lines = Effect.Effect<ReadonlyArray<Uint8Array> | undefined, InputFailed>

/**
 * Reads standard input line by line, as lines arrive. The newline is not part of a line, and the
 * last line may lack it. Reads only on demand. A line has at most `maxBytes`.
 */
export const readLines = (maxBytes: number): Effect.Effect<Lines, InputFailed> =>
  Effect.gen(function* () {
    if (yield* isDirectory) return yield* new InputFailed({ detail: "is a directory; name a file" })
    const { stdin } = yield* Streams
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
          catch: (cause) =>
            new InputFailed({ detail: cause instanceof Error ? cause.message : String(cause) })
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
    if (yield* isDirectory) return yield* new InputFailed({ detail: "is a directory; name a file" })
    const { stdin } = yield* Streams
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
      catch: (cause) =>
        cause instanceof InputFailed
          ? cause
          : new InputFailed({ detail: cause instanceof Error ? cause.message : String(cause) })
    })
    yield* Fiber.interrupt(notice)
    return Buffer.concat(chunks)
  })
