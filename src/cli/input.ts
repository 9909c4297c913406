import { fstatSync } from "node:fs"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Standard input cannot be read, or holds more than a message may. */
export class InputFailed extends Data.TaggedError("InputFailed")<{ readonly detail: string }> {
  override get message(): string {
    return `standard input: ${this.detail}`
  }
}

/** How long nothing may come before the person is told what is being waited for. */
const patience = "2 seconds"

/** True when something was piped or redirected in: a pipe, a file or a socket, not a terminal and not /dev/null. */
export const isPiped = (): boolean => {
  try {
    const stats = fstatSync(0)
    return stats.isFIFO() || stats.isFile() || stats.isSocket()
  } catch {
    return false
  }
}

/** Standard input to its end, at most `most` bytes. */
export const readAll = (most: number): Effect.Effect<Uint8Array, InputFailed> =>
  Effect.gen(function* () {
    const notice = yield* Effect.fork(
      Effect.delay(Effect.logInfo("waiting for the message on standard input (or give it as an argument)"), patience)
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
            throw new InputFailed({ detail: `more than ${most.toLocaleString("en-US")} bytes; that is no message` })
        }
      },
      catch: (cause) =>
        cause instanceof InputFailed ? cause : new InputFailed({ detail: cause instanceof Error ? cause.message : String(cause) })
    })
    yield* Fiber.interrupt(notice)
    return Buffer.concat(chunks)
  })
