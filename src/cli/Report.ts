// Every word a person sees. Data goes to stdout, everything else to stderr.
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Hex from "../bytes/Hex.ts"
import * as Printable from "../bytes/Printable.ts"
import type { Refusal } from "../programs/Classic.ts"

/** Standard output no longer takes what is written: its reader has gone, or its disk is full. */
export class OutputFailed extends Data.TaggedError("OutputFailed")<{ readonly code: string }> {
  override get message(): string {
    return this.code === "EPIPE" ? "nobody reads standard output any more" : `standard output cannot be written (${this.code})`
  }
}

/** What happens while a command runs. */
export type Event = Data.TaggedEnum<{
  KeyMade: { readonly reference: string; readonly kind: string }
  Danger: { readonly text: string }
  Listening: { readonly address: string; readonly cipher: string }
  Message: { readonly peer: string; readonly text: Uint8Array; readonly wire: Uint8Array }
  Refused: { readonly peer: string; readonly reason: Refusal; readonly bytes: number }
  Sent: { readonly address: string; readonly bytes: number; readonly wire: Uint8Array }
}>
export const Event = Data.taggedEnum<Event>()

type Tag = Event["_tag"]
type Of<T extends Tag> = Extract<Event, { readonly _tag: T }>

/** How a command speaks, from its options. */
export interface Manner {
  readonly json: boolean
  /** Show the bytes on the wire. */
  readonly wire: boolean
  /** Messages go out as they are, with no newline added: one message is the whole output. */
  readonly exact: boolean
}

interface Words<E> {
  /** The stable name in `--json`. */
  readonly code: string
  readonly level: LogLevel.LogLevel
  /** The line on stderr; none for what is data. */
  readonly line: (event: E, manner: Manner) => string | undefined
  /** The fields in `--json`. */
  readonly fields: (event: E, manner: Manner) => Readonly<Record<string, unknown>>
}

const plural = (count: number, one: string): string => `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`

const contentOf = (bytes: Uint8Array): Readonly<Record<string, unknown>> => {
  const text = Printable.text(bytes)
  return text === undefined ? { base64: Buffer.from(bytes).toString("base64") } : { text }
}

const wireOf = (wire: Uint8Array, manner: Manner) => (manner.wire ? { wire: Hex.encode(wire) } : {})

const refusals: Readonly<Record<Refusal, string>> = {
  "does not open": "the message does not open with this key and cipher",
  "too long": "the message is longer than any classic message",
  "nothing sent": "it sent nothing",
  "cut off": "it was cut off before the end of the message",
  "too slow": "the message did not end in time",
  "crowded out": "unfinished messages took too much memory, and this was the largest"
}

/** One entry per event. */
const words: { readonly [T in Tag]: Words<Of<T>> } = {
  KeyMade: {
    code: "key-made",
    level: LogLevel.Info,
    line: ({ reference, kind }) =>
      `made a new ${kind}: ${reference} (readable by this user alone); give a copy to the other side, by a safe way`,
    fields: ({ reference, kind }) => ({ key: reference, kind })
  },
  Danger: {
    code: "danger",
    level: LogLevel.Warning,
    line: ({ text }) => text,
    fields: ({ text }) => ({ message: text })
  },
  Listening: {
    code: "listening",
    level: LogLevel.Info,
    line: ({ address, cipher }) => `listening at ${address} for messages sealed with ${cipher}; Ctrl-C stops`,
    fields: ({ address, cipher }) => ({ address, cipher })
  },
  Message: {
    code: "message",
    level: LogLevel.Info,
    line: ({ peer, wire }, manner) =>
      manner.wire ? `${peer}: ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}` : undefined,
    fields: ({ peer, text, wire }, manner) => ({ peer, bytes: text.length, ...contentOf(text), ...wireOf(wire, manner) })
  },
  Refused: {
    code: "refused",
    level: LogLevel.Warning,
    line: ({ peer, reason, bytes }) => `${peer}: refused: ${refusals[reason]}${bytes > 0 ? ` (${plural(bytes, "byte")})` : ""}`,
    fields: ({ peer, reason, bytes }) => ({ peer, reason, bytes })
  },
  Sent: {
    code: "sent",
    level: LogLevel.Info,
    line: ({ address, bytes, wire }, manner) =>
      `sent ${plural(bytes, "byte")} to ${address}` +
      (manner.wire
        ? `; ${plural(wire.length, "byte")} on the wire: ${Hex.encode(wire)}`
        : "; the classic system has no receipt: nothing tells whether they arrived"),
    fields: ({ address, bytes, wire }, manner) => ({ address, bytes, wireBytes: wire.length, ...wireOf(wire, manner) })
  }
}

/** What a command says and gives. */
export class Report extends Context.Tag("sealwire/cli/Report")<
  Report,
  {
    readonly tell: (event: Event, manner: Manner) => Effect.Effect<void>
    /** Plain output of a command that has one: help, a version, a list. */
    readonly print: (text: string) => Effect.Effect<void>
    /** Fails when standard output fails; never succeeds. */
    readonly outputFailed: Effect.Effect<never, OutputFailed>
  }
>() {
  static readonly layer: Layer.Layer<Report> = Layer.effect(
    Report,
    Effect.gen(function* () {
      const failed = yield* Deferred.make<never, OutputFailed>()
      const fail = (error: NodeJS.ErrnoException) =>
        Deferred.unsafeDone(failed, new OutputFailed({ code: error.code ?? "UNKNOWN" }))
      process.stdout.on("error", fail)

      const out = (bytes: Uint8Array) =>
        Effect.async<void>((resume) => {
          // A failure is told to `outputFailed`, which ends the command.
          process.stdout.write(bytes, () => resume(Effect.void))
        })
      const print = (text: string) => out(Buffer.from(text.endsWith("\n") ? text : `${text}\n`))

      const tell = (event: Event, manner: Manner): Effect.Effect<void> => {
        const entry = words[event._tag] as Words<Event>
        if (manner.json) return print(JSON.stringify({ event: entry.code, ...entry.fields(event, manner) }))
        const line = entry.line(event, manner)
        const said = line === undefined ? Effect.void : Effect.logWithLevel(entry.level, line)
        return event._tag === "Message" ? Effect.zipRight(said, out(forOutput(event.text, manner))) : said
      }
      return { tell, print, outputFailed: Deferred.await(failed) }
    })
  )
}

/**
 * The message as standard output gets it: escaped where a person looks; else its own bytes, and a newline after it
 * when others follow and it has none.
 */
const forOutput = (text: Uint8Array, { exact }: Manner): Uint8Array => {
  const terminal = process.stdout.isTTY
  const shown = terminal ? Buffer.from(Printable.bytes(text)) : Buffer.from(text)
  const needsNewline = terminal || !exact
  return needsNewline && shown.at(-1) !== 0x0a ? Buffer.concat([shown, Buffer.from("\n")]) : shown
}

/** True where colour helps: a terminal, and nobody asked for none (no-color.org). */
export const inColour = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb"

export const stripColour = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, "")

const marks = [
  [LogLevel.Error, "\u001b[31m", "error: "],
  [LogLevel.Warning, "\u001b[33m", "warning: "]
] as const

/** One line on stderr for each log entry. */
export const logger = Logger.make(({ logLevel, message, cause }) => {
  const [, colour = "", word = ""] = marks.find(([level]) => LogLevel.greaterThanEqual(logLevel, level)) ?? []
  const parts = [message].flat().map(String)
  if (!Cause.isEmpty(cause)) parts.push(messageOf(Cause.squash(cause)))
  const mark = colour !== "" && inColour(process.stderr) ? `${colour}${word}\u001b[0m` : word
  process.stderr.write(`sealwire: ${mark}${oneLine(parts.join(": "))}\n`)
})

/** The line for an error that ends the command; with `--json`, an object with a stable code. */
export const failure = (code: string, text: string, exit: number, json: boolean): string =>
  json ? JSON.stringify({ event: "error", code, message: oneLine(text), exit }) : `sealwire: ${oneLine(text)}`

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const oneLine = (text: string): string => Printable.line(text.trim().replace(/\s*\n\s*/g, "; "))
