// Prompts at the terminal without echo.
import { closeSync, openSync, writeSync } from "node:fs"
import { StringDecoder } from "node:string_decoder"
import { ReadStream } from "node:tty"
import * as Effect from "effect/Effect"
import { Streams } from "../Streams.ts"

/** True if standard input or standard error is a terminal. */
export const isAvailable: Effect.Effect<boolean> = Effect.map(
  Streams,
  ({ stdin, stderr }) => stdin.isTTY === true || stderr.isTTY === true
)

/** The maximum length of an answer, in characters. */
const maxCharacters = 1024

/**
 * Asks at /dev/tty without echo, so that standard input and output stay free. Ctrl-C ends the
 * program as usual. Ctrl-D on an empty line and a hang-up of the terminal return "". Fails with a
 * clause if there is no terminal.
 */
export const askHidden = (question: string): Effect.Effect<string, string> =>
  Effect.acquireUseRelease(
    Effect.try({ try: openTerminal, catch: () => "no terminal is available" }),
    ({ reader, write }) =>
      Effect.zipRight(
        Effect.sync(() => write(question)),
        readAnswer(reader)
      ),
    ({ reader, close }) => Effect.sync(() => close(reader))
  )

const openTerminal = () => {
  const writer = openSync("/dev/tty", "w")
  const reader = new ReadStream(openSync("/dev/tty", "r"))
  reader.setRawMode(true)
  return {
    reader,
    write: (text: string) => void writeSync(writer, text),
    close: (reader: ReadStream) => {
      reader.setRawMode(false)
      reader.destroy()
      writeSync(writer, "\n")
      closeSync(writer)
    }
  }
}

/**
 * The characters typed after the end of an answer (a paste of several lines), at most
 * `maxCharacters`. They answer the next prompt.
 */
let typedAhead = ""

const readAnswer = (reader: ReadStream): Effect.Effect<string> =>
  Effect.async((resume) => {
    const decoder = new StringDecoder("utf8")
    let answer = ""
    const end = () => resume(Effect.succeed(answer))
    let ended = false
    const accept = (text: string) => {
      for (const character of text) {
        const action = actions[character]
        if (ended) {
          if (typedAhead.length < maxCharacters) typedAhead += character
          continue
        }
        if (action === "enter" || (action === "end" && answer === "")) {
          ended = true
          end()
        }
        if (action === "interrupt") return void process.kill(process.pid, "SIGINT")
        if (action === "erase") answer = Array.from(answer).slice(0, -1).join("")
        if (action === "erase all") answer = ""
        if (action === undefined && character >= " " && answer.length < maxCharacters)
          answer += character
      }
    }
    // CR LF, the line end of Windows, counts as one Enter.
    reader.on("data", (chunk) =>
      accept(decoder.write(chunk).replace(escapeSequences, "").replaceAll("\r\n", "\r"))
    )
    reader.once("error", end)
    reader.once("end", end)
    const before = typedAhead
    typedAhead = ""
    accept(before)
  })

/** The escape sequences of arrow and function keys (ECMA-48 CSI and SS3). */
const escapeSequences = /\u001b(?:\[[0-9;]*.|O.)/g

/** The characters that edit or end the answer. */
const actions: Readonly<Record<string, "enter" | "end" | "interrupt" | "erase" | "erase all">> = {
  "\r": "enter",
  "\n": "enter",
  "\u0003": "interrupt",
  "\u0004": "end",
  "\b": "erase",
  "\u007f": "erase",
  "\u0015": "erase all"
}
