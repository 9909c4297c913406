// Prompts on stderr and reads a line from standard input. The terminal itself edits and echoes it.
import { isatty } from "node:tty"
import * as Effect from "effect/Effect"
import * as Utf8 from "../../bytes/Utf8.ts"
import { Streams } from "../Streams.ts"

/** True if standard input is a terminal. */
export const isAvailable: Effect.Effect<boolean> = Effect.map(Streams, ({ descriptors }) =>
  isatty(descriptors.stdin)
)

/**
 * The trimmed line; undefined at the end of input (Ctrl-D). Ctrl-C ends the command as usual. Asks
 * again after a line that is not UTF-8.
 */
export const ask = (question: string): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    for (;;) {
      const line = yield* askBytes(question)
      const text = line === undefined ? undefined : Utf8.decode(line)
      if (line === undefined || text !== undefined) return text?.trim()
      yield* Effect.logWarning(
        "the answer is not valid UTF-8; set the terminal to UTF-8 and answer again"
      )
    }
  })

/** The line without its newline; undefined at the end of input. */
const askBytes = (question: string): Effect.Effect<Uint8Array | undefined> =>
  Effect.flatMap(Streams, ({ stdin, stderr }) =>
    Effect.async((resume) => {
      stderr.write(question)
      let line = Buffer.alloc(0)
      const stop = () => {
        stdin.off("data", receive).off("end", end).off("error", end)
        stdin.pause()
      }
      const receive = (chunk: Buffer) => {
        const newline = chunk.indexOf(0x0a)
        line = Buffer.concat([line, newline < 0 ? chunk : chunk.subarray(0, newline)])
        if (newline < 0) return
        stop()
        // The next prompt reads what follows.
        if (newline + 1 < chunk.length) stdin.unshift(chunk.subarray(newline + 1))
        resume(Effect.succeed(line))
      }
      const end = () => {
        stop()
        resume(Effect.succeed(line.length === 0 ? undefined : line))
      }
      if (stdin.readableEnded || stdin.destroyed) return end()
      stdin.on("data", receive).once("end", end).once("error", end)
      // A stream that was paused does not flow because of a listener alone.
      stdin.resume()
      return Effect.sync(stop)
    })
  )
