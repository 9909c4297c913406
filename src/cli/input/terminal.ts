// The person at the terminal: a question, and an answer that is not shown.
import { closeSync, openSync, writeSync } from "node:fs"
import { StringDecoder } from "node:string_decoder"
import { ReadStream } from "node:tty"
import * as Effect from "effect/Effect"

/** True when somebody sits there: input or log is a terminal, whatever is piped through the other. */
export const isAvailable = (): boolean => process.stdin.isTTY || process.stderr.isTTY

/** What a person may type at most, in characters. */
const most = 1024

/**
 * Asks at /dev/tty, so that standard input and output stay free, without echo. Ctrl-C ends the program as always; Ctrl-D at an
 * empty line and a terminal that goes away give "". It fails with a clause when there is no terminal.
 */
export const askHidden = (question: string): Effect.Effect<string, string> =>
  Effect.acquireUseRelease(
    Effect.try({ try: opened, catch: () => "there is no terminal to ask at" }),
    ({ reader, write }) =>
      Effect.zipRight(
        Effect.sync(() => write(question)),
        answered(reader)
      ),
    ({ reader, close }) => Effect.sync(() => close(reader))
  )

const opened = () => {
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

/** What came after the end of an answer (a paste of several lines), at most `most` characters: it belongs to the next question. */
let ahead = ""

const answered = (reader: ReadStream): Effect.Effect<string> =>
  Effect.async((resume) => {
    const decoder = new StringDecoder("utf8")
    let answer = ""
    const end = () => resume(Effect.succeed(answer))
    let ended = false
    const take = (text: string) => {
      for (const character of text) {
        const edit = keys[character]
        if (ended) {
          if (ahead.length < most) ahead += character
          continue
        }
        if (edit === "enter" || (edit === "end" && answer === "")) {
          ended = true
          end()
        }
        if (edit === "interrupt") return void process.kill(process.pid, "SIGINT")
        if (edit === "erase") answer = Array.from(answer).slice(0, -1).join("")
        if (edit === "erase all") answer = ""
        if (edit === undefined && character >= " " && answer.length < most) answer += character
      }
    }
    // The two characters that end a line on Windows are one Enter.
    reader.on("data", (chunk) =>
      take(decoder.write(chunk).replace(otherKeys, "").replaceAll("\r\n", "\r"))
    )
    reader.once("error", end)
    reader.once("end", end)
    const before = ahead
    ahead = ""
    take(before)
  })

/** Arrows and function keys, as terminals send them. */
const otherKeys = /\u001b(?:\[[0-9;]*.|O.)/g

/** What is not part of the answer. */
const keys: Readonly<Record<string, "enter" | "end" | "interrupt" | "erase" | "erase all">> = {
  "\r": "enter",
  "\n": "enter",
  "\u0003": "interrupt",
  "\u0004": "end",
  "\b": "erase",
  "\u007f": "erase",
  "\u0015": "erase all"
}
