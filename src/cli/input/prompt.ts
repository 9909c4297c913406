// The person at the terminal: a question on stderr, and a line typed on standard input. The terminal itself edits and echoes it.
import { createInterface } from "node:readline"
import { isatty } from "node:tty"
import * as Effect from "effect/Effect"

/** True when somebody can be asked. */
export const isAvailable = (): boolean => isatty(0)

/** The line without what surrounds it; undefined when the terminal has ended (Ctrl-D). Ctrl-C ends the command as always. */
export const ask = (question: string): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    process.stderr.write(question)
    const lines = createInterface({ input: process.stdin, terminal: false })
    lines.once("line", (line) => {
      resume(Effect.succeed(line.trim()))
      lines.close()
    })
    // After a line this is not heard any more.
    lines.once("close", () => resume(Effect.succeed(undefined)))
    return Effect.sync(() => lines.close())
  })
