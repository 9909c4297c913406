// Prompts on stderr and reads a line from standard input. The terminal itself edits and echoes it.
import { createInterface } from "node:readline"
import { isatty } from "node:tty"
import * as Effect from "effect/Effect"
import { Streams } from "../Streams.ts"

/** True if standard input is a terminal. */
export const isAvailable: Effect.Effect<boolean> = Effect.map(Streams, ({ descriptors }) =>
  isatty(descriptors.stdin)
)

/** The trimmed line; undefined at the end of input (Ctrl-D). Ctrl-C ends the command as usual. */
export const ask = (question: string): Effect.Effect<string | undefined> =>
  Effect.flatMap(Streams, ({ stdin, stderr }) =>
    Effect.async((resume) => {
      stderr.write(question)
      const lines = createInterface({ input: stdin, terminal: false })
      lines.once("line", (line) => {
        resume(Effect.succeed(line.trim()))
        lines.close()
      })
      // Has no effect after a line: the effect has resumed.
      lines.once("close", () => resume(Effect.succeed(undefined)))
      return Effect.sync(() => lines.close())
    })
  )
