// Every word a person sees. Data goes to stdout, everything else to stderr.
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Printable from "../../bytes/Printable.ts"
import * as InlineKey from "../../keys/InlineKey.ts"
import * as Log from "./Log.ts"
import { stdoutData, eventTexts, type Event } from "./events/index.ts"
import type { OutputMode, EventText } from "./events/EventText.ts"
import type { ProgressLine } from "./ProgressLine.ts"

/** Standard output no longer takes what is written: its reader has gone, or its disk is full. */
export class OutputFailed extends Data.TaggedError("OutputFailed")<{ readonly code: string }> {
  override get message(): string {
    return this.code === "EPIPE"
      ? "nobody reads standard output any more"
      : `standard output cannot be written (${this.code})`
  }
}

/** How often a progress line is drawn. */
const drawMillis = 200

/** A progress line stands on the terminal: what is said takes its place. */
let isDrawn = false
const clearLine = "\r\u001b[K"
const erase = (): string => {
  const erased = isDrawn ? clearLine : ""
  isDrawn = false
  return erased
}

/** What a command says and gives. */
export class Report extends Context.Tag("sealwire/cli/Report")<
  Report,
  {
    readonly emit: (event: Event, mode: OutputMode) => Effect.Effect<void>
    /** Many at once, in one piece: their data together, and on stderr `summary` in place of a line for each. */
    readonly emitAll: (
      events: ReadonlyArray<Event>,
      summary: string,
      mode: OutputMode
    ) => Effect.Effect<void>
    /** The effect with a line on the terminal, where there is one, that says how far it is. */
    readonly withProgress: (
      read: () => ProgressLine
    ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Plain output of a command that has one: help, a version, a list. */
    readonly print: (text: string) => Effect.Effect<void>
    /** Bytes of data, as they are. */
    readonly write: (bytes: Uint8Array) => Effect.Effect<void>
    /** The effect while standard output takes what is written; else, even where its last byte is lost, `OutputFailed`. */
    readonly whileWritable: <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | OutputFailed, R>
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
          process.stdout.write(bytes, (error) => {
            // Told to `whileWritable`, which ends the command.
            if (!error) return resume(Effect.void)
            fail(error)
            // What was not written was not handled: no receipt may follow.
            resume(Effect.interrupt)
          })
        })
      const print = (text: string) => out(Buffer.from(text.endsWith("\n") ? text : `${text}\n`))

      const emit = (event: Event, mode: OutputMode): Effect.Effect<void> => {
        const entry = eventTexts[event._tag] as EventText<Event>
        if (mode.json) return print(jsonOf(event, mode))
        const line = entry.line(event, mode)
        const said = line === undefined ? Effect.void : Effect.logWithLevel(entry.level, line)
        const data = stdoutData(event)
        return data === undefined ? said : Effect.zipRight(said, out(forOutput(data, mode)))
      }
      const emitAll = (
        events: ReadonlyArray<Event>,
        summary: string,
        mode: OutputMode
      ): Effect.Effect<void> => {
        if (events.length === 1) return emit(events[0] as Event, mode)
        if (mode.json) return print(events.map((event) => jsonOf(event, mode)).join("\n"))
        const data = events.flatMap((event) => stdoutData(event) ?? [])
        return Effect.zipRight(
          Effect.logInfo(summary),
          out(Buffer.concat(data.map((text) => forOutput(text, mode))))
        )
      }

      const withProgress =
        (read: () => ProgressLine) =>
        <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
          if (!process.stderr.isTTY) return effect
          let before = read().count
          const draw = Effect.sync(() => {
            const { count, line } = read()
            process.stderr.write(
              `${clearLine}${Printable.line(line(((count - before) * 1000) / drawMillis))}`
            )
            isDrawn = true
            before = count
          })
          const drawing = Effect.forever(Effect.zipRight(Effect.sleep(drawMillis), draw))
          return Effect.raceFirst(effect, drawing).pipe(
            Effect.ensuring(Effect.sync(() => process.stderr.write(erase())))
          )
        }
      return {
        emit,
        emitAll,
        print,
        write: out,
        withProgress,
        whileWritable: (effect) =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(Effect.raceFirst(effect, Deferred.await(failed)))
            return yield* Option.getOrElse(yield* Deferred.poll(failed), () => exit)
          })
      }
    })
  )
}

const jsonOf = (event: Event, mode: OutputMode): string => {
  const { code, level, fields } = eventTexts[event._tag] as EventText<Event>
  return JSON.stringify({
    event: code,
    ...(mode.stamped === true ? stamp(level) : {}),
    ...fields(event, mode)
  })
}

const stamp = (level: LogLevel.LogLevel) => ({
  time: new Date().toISOString(),
  level: nameOf(level)
})

/** As `--log-level` takes them. */
const nameOf = ({ label }: LogLevel.LogLevel): string =>
  label === "WARN" ? "warning" : label.toLowerCase()

/**
 * The message as standard output gets it: escaped where a person looks; else its own bytes, and a newline after it
 * when others follow and it has none.
 */
const forOutput = (text: Uint8Array, { exact }: OutputMode): Uint8Array => {
  const terminal = process.stdout.isTTY
  const shown = terminal ? Buffer.from(Printable.bytes(text)) : Buffer.from(text)
  const needsNewline = terminal || !exact
  return needsNewline && shown.at(-1) !== 0x0a ? Buffer.concat([shown, Buffer.from("\n")]) : shown
}

/** True where colour helps: a terminal, and nobody asked for none (no-color.org). */
export const supportsColour = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb"

export const stripColour = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, "")

const marks = [
  [LogLevel.Error, "\u001b[31m", "error: "],
  [LogLevel.Warning, "\u001b[33m", "warning: "]
] as const

const textOf = (message: unknown, cause: Cause.Cause<unknown>): string => {
  const parts = [message].flat().map(String)
  if (!Cause.isEmpty(cause)) parts.push(errorMessage(Cause.squash(cause)))
  return oneLine(parts.join(": "))
}

/** One object on stderr for each log entry; its code is the annotation `event`, and the other annotations are its fields. */
export const jsonLogger = Logger.make(({ logLevel, message, cause, annotations }) => {
  const { event = "log", ...fields } = Object.fromEntries(annotations)
  Log.writeLog(
    `${JSON.stringify({ event, ...stamp(logLevel), message: textOf(message, cause), ...fields })}\n`
  )
})

/** One line on stderr for each log entry. */
export const logger = Logger.make(({ logLevel, message, cause }) => {
  const [, colour = "", word = ""] =
    marks.find(([level]) => LogLevel.greaterThanEqual(logLevel, level)) ?? []
  const mark = colour !== "" && supportsColour(process.stderr) ? `${colour}${word}\u001b[0m` : word
  Log.writeLog(`${erase()}sealwire: ${mark}${textOf(message, cause)}\n`)
})

/** The line for an error that ends the command; with `--json`, an object with a stable code. */
export const formatFailure = (code: string, text: string, exit: number, json: boolean): string =>
  json
    ? JSON.stringify({ event: "error", code, message: oneLine(text), exit })
    : `sealwire: ${oneLine(text)}`

export const errorMessage = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** A key that was given by mistake, where an argument is repeated, is not. */
const oneLine = (text: string): string =>
  Printable.line(
    InlineKey.redact(text)
      .trim()
      .replace(/\s*\n\s*/g, "; ")
  )
