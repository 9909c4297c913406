import { fstatSync } from "node:fs"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { LineSplitter } from "./LineSplitter.ts"

/** Standard input cannot be read, or holds more than a message may. */
export class InputFailed extends Data.TaggedError("InputFailed")<{ readonly detail: string }> {
  override get message(): string {
    return `standard input: ${this.detail}`
  }
}

/** How long nothing may come before the person is told what is being waited for. */
const patience = "2 seconds"

/** What the origin's client says. */
export const originText = "Hello Server!"

/** Texts as they are given: `-` is standard input; without any, what is piped in, else the origin's text, or what `otherwise` says. */
export const readMessages = (
  given: ReadonlyArray<string>,
  most: number,
  otherwise: ReadonlyArray<Uint8Array> = [Buffer.from(originText)]
): Effect.Effect<ReadonlyArray<Uint8Array>, InputFailed> => {
  if (given.length === 0 && !isPiped()) return Effect.succeed(otherwise)
  if (given.length === 0)
    return Effect.map(readAll(most), (text) => (text.length === 0 ? otherwise : [text]))
  return Effect.forEach(given, (text) =>
    text === "-" ? readAll(most) : Effect.succeed(Buffer.from(text))
  )
}

/** True when something was piped or redirected in: a pipe, a file or a socket, not a terminal and not /dev/null. */
export const isPiped = (): boolean => {
  try {
    const stats = fstatSync(0)
    return stats.isFIFO() || stats.isFile() || stats.isSocket() || stats.isDirectory()
  } catch {
    return false
  }
}

const isFolder = (): boolean => {
  try {
    return fstatSync(0).isDirectory()
  } catch {
    return false
  }
}

/** Some lines; undefined at the end of them. */
export type Lines = Effect.Effect<ReadonlyArray<Uint8Array> | undefined, InputFailed>

/**
 * The lines of standard input as they come, some at a time. A line ends with a newline, which is not part of it; the last one may lack
 * it. What is not asked for is not read.
 */
export const readLines = (most: number): Effect.Effect<Lines, InputFailed> =>
  Effect.gen(function* () {
    if (isFolder()) return yield* new InputFailed({ detail: "is a folder; name a file" })
    if (process.stdin.isTTY) yield* Effect.logInfo("each line is a message; Ctrl-D ends")
    const chunks = (process.stdin as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
    const cutter = new LineSplitter(most)
    let over = false
    return Effect.gen(function* () {
      for (;;) {
        if (cutter.fault !== undefined) return yield* new InputFailed({ detail: cutter.fault })
        if (over) return undefined
        const { done, value } = yield* Effect.tryPromise({
          try: () => chunks.next(),
          catch: (cause) =>
            new InputFailed({ detail: cause instanceof Error ? cause.message : String(cause) })
        })
        over = done === true
        const found = over ? cutter.end() : cutter.push(value)
        if (found.length > 0) return found
      }
    })
  })

/** Standard input to its end, at most `most` bytes. */
export const readAll = (most: number): Effect.Effect<Uint8Array, InputFailed> =>
  Effect.gen(function* () {
    if (isFolder()) return yield* new InputFailed({ detail: "is a folder; name a file" })
    const notice = yield* Effect.fork(
      Effect.delay(
        Effect.logInfo("waiting for the message on standard input (or give it as an argument)"),
        patience
      )
    )
    const chunks: Array<Uint8Array> = []
    yield* Effect.tryPromise({
      try: async () => {
        let length = 0
        for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
          Effect.runFork(Fiber.interrupt(notice))
          chunks.push(chunk)
          length += chunk.length
          if (length > most)
            throw new InputFailed({
              detail: `more than ${most.toLocaleString("en-US")} bytes; that is no message`
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
