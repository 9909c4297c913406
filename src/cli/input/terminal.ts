// Prompts at the terminal without echo.
import { closeSync, openSync, writeSync } from "node:fs"
import { ReadStream } from "node:tty"
import * as Effect from "effect/Effect"
import * as Utf8 from "../../bytes/Utf8.ts"
import { limits } from "../../keys/limits.ts"
import { Streams } from "../Streams.ts"

/** True if standard input or standard error is a terminal. */
export const isAvailable: Effect.Effect<boolean> = Effect.map(
  Streams,
  ({ stdin, stderr }) => stdin.isTTY === true || stderr.isTTY === true
)

/** The maximum length of an answer: that of a passphrase. */
const maxBytes = limits.passphraseBytes

/**
 * Asks at /dev/tty without echo, so that standard input and output stay free. Ctrl-C ends the
 * program as usual. Ctrl-D on an empty line and a hang-up of the terminal return "". Fails with a
 * clause if there is no terminal, and for an answer that is too long or not UTF-8.
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
 * The bytes typed after the end of an answer (a paste of several lines), at most `maxBytes`. They
 * answer the next prompt. One character a byte, as in all of this module: bytes that are not UTF-8
 * must not become U+FFFD, which makes different passphrases of one length equal.
 */
let typedAhead = ""

const readAnswer = (reader: ReadStream): Effect.Effect<string, string> =>
  Effect.async((resume) => {
    let answer = ""
    const end = () => resume(textOf(answer))
    let ended = false
    const accept = (bytes: string) => {
      for (const byte of bytes) {
        const action = actions[byte]
        if (ended) {
          if (typedAhead.length < maxBytes) typedAhead += byte
          continue
        }
        if (action === "enter" || (action === "end" && answer === "")) {
          ended = true
          end()
        }
        if (action === "interrupt") return void process.kill(process.pid, "SIGINT")
        if (action === "erase") answer = answer.replace(lastCharacter, "")
        if (action === "erase all") answer = ""
        // One more than the maximum tells an answer that is too long.
        if (action === undefined && byte >= " " && answer.length <= maxBytes) answer += byte
      }
    }
    // CR LF, the line end of Windows, counts as one Enter.
    reader.on("data", (chunk) =>
      accept(chunk.toString("latin1").replace(escapeSequences, "").replaceAll("\r\n", "\r"))
    )
    reader.once("error", end)
    reader.once("end", end)
    const before = typedAhead
    typedAhead = ""
    accept(before)
  })

const textOf = (answer: string): Effect.Effect<string, string> => {
  if (answer.length > maxBytes) return Effect.fail(`what was typed has more than ${maxBytes} bytes`)
  const text = Utf8.decode(Buffer.from(answer, "latin1"))
  return text === undefined
    ? Effect.fail("what was typed is not valid UTF-8; set the terminal to UTF-8")
    : Effect.succeed(text)
}

/** The bytes of the last character: of UTF-8 the first one and its continuation, else one byte. */
const lastCharacter = /(?:[\xc0-\xf7][\x80-\xbf]{1,3}|[^])$/

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
