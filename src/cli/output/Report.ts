// The output of a command. Data goes to stdout, everything else to stderr.
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
import { Streams } from "../Streams.ts"
import type { Redaction } from "./Redaction.ts"
import type * as Log from "./Log.ts"
import * as standardOutput from "./standardOutput.ts"
import { stdoutData, eventTexts, type Event } from "./events/index.ts"
import type { OutputMode, EventText } from "./events/EventText.ts"
import type { ProgressLine } from "./ProgressLine.ts"

/** The code of an output that the process was started without. */
const closedOutput = "CLOSED"

const outputProblems: Readonly<Record<string, string>> = {
  EPIPE: "standard output is closed by its reader",
  [closedOutput]: "standard output is closed, and the data would be lost; name a file or a pipe"
}

/** A write to standard output failed: its reader is closed, or its disk is full. */
export class OutputFailed extends Data.TaggedError("OutputFailed")<{ readonly code: string }> {
  override get message(): string {
    return outputProblems[this.code] ?? `cannot write standard output (${this.code})`
  }
}

/** The interval between two drawings of a progress line. */
const drawIntervalMillis = 200

/** The output of a command. */
export class Report extends Context.Tag("sealwire/cli/output/Report")<
  Report,
  {
    /** Writes an event: its data to stdout and its line to stderr; or JSON to stdout. */
    readonly emit: (event: Event, mode: OutputMode) => Effect.Effect<void>
    /**
     * Writes several events with one write to stdout. On stderr, `summary` replaces their lines; a
     * single event has its own line.
     */
    readonly emitAll: (
      events: ReadonlyArray<Event>,
      summary: string,
      mode: OutputMode
    ) => Effect.Effect<void>
    /** Runs the effect and draws a progress line on stderr where that is a terminal. */
    readonly withProgress: (
      read: () => ProgressLine
    ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Writes text to stdout, with a newline: help, a version. */
    readonly print: (text: string) => Effect.Effect<void>
    /** Writes the result of a command, a list included, with a newline. Fails if stdout is closed. */
    readonly printData: (text: string) => Effect.Effect<void>
    /** Writes bytes to stdout unchanged. Fails if stdout is closed. */
    readonly write: (bytes: Uint8Array) => Effect.Effect<void>
    /**
     * Fails if stdout is closed: before a command does what cannot be undone for data that it then
     * writes. Help and events are written in any case: programs often start others without an
     * output.
     */
    readonly needsOutput: Effect.Effect<void>
    /** Runs the effect; fails with `OutputFailed` if a write to stdout fails, the last included. */
    readonly whileWritable: <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | OutputFailed, R>
  }
>() {
  static readonly layer = (log: Log.Log, redaction: Redaction): Layer.Layer<Report> =>
    Layer.effect(
      Report,
      Effect.gen(function* () {
        const { stdout } = yield* Streams
        const isTerminal = stdout.isTTY === true
        const isOpen = yield* standardOutput.isOpen
        const failed = yield* Deferred.make<never, OutputFailed>()
        const fail = (error: NodeJS.ErrnoException) =>
          Deferred.unsafeDone(failed, new OutputFailed({ code: error.code ?? "UNKNOWN" }))
        stdout.on("error", fail)

        const out = (bytes: Uint8Array) =>
          Effect.async<void>((resume) => {
            stdout.write(bytes, (error) => {
              // `whileWritable` ends the command.
              if (!error) return resume(Effect.void)
              fail(error)
              // A message that was not written is not handled: no receipt may follow.
              resume(Effect.interrupt)
            })
          })
        const needsOutput = isOpen
          ? Effect.void
          : Effect.zipRight(
              Effect.sync(() => fail(Object.assign(new Error(), { code: closedOutput }))),
              Effect.interrupt
            )
        const outData = (bytes: Uint8Array) => Effect.zipRight(needsOutput, out(bytes))
        const lineOf = (text: string) => Buffer.from(text.endsWith("\n") ? text : `${text}\n`)

        /** A log line usually introduces the data: "enter this code:". */
        const emit = (
          event: Event,
          mode: OutputMode,
          order: "log first" | "data first" = "log first"
        ): Effect.Effect<void> => {
          const text = eventTexts[event._tag] as EventText<Event>
          const data = stdoutData(event)
          if (mode.json)
            return (data === undefined ? out : outData)(lineOf(jsonOf(event, mode, redaction)))
          const line = text.line(event, mode)
          const logged = line === undefined ? Effect.void : Effect.logWithLevel(text.level, line)
          if (data === undefined) return logged
          const written = outData(forOutput(data, mode, isTerminal))
          return order === "log first"
            ? Effect.zipRight(logged, written)
            : Effect.zipRight(written, logged)
        }
        const emitAll = (
          events: ReadonlyArray<Event>,
          summary: string,
          mode: OutputMode
        ): Effect.Effect<void> => {
          // Nothing is logged as received that could not be written.
          if (events.length === 1) return emit(events[0] as Event, mode, "data first")
          if (mode.json)
            return outData(lineOf(events.map((event) => jsonOf(event, mode, redaction)).join("\n")))
          const data = events.flatMap((event) => stdoutData(event) ?? [])
          return Effect.zipRight(
            outData(Buffer.concat(data.map((text) => forOutput(text, mode, isTerminal)))),
            Effect.logInfo(summary)
          )
        }

        const withProgress =
          (read: () => ProgressLine) =>
          <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
            if (!log.isTerminal) return effect
            let drawnCount = read().count
            const draw = Effect.sync(() => {
              const { count, line } = read()
              log.draw(
                Printable.line(
                  redaction.apply(line(((count - drawnCount) * 1000) / drawIntervalMillis))
                )
              )
              drawnCount = count
            })
            const drawing = Effect.forever(Effect.zipRight(Effect.sleep(drawIntervalMillis), draw))
            return Effect.raceFirst(effect, drawing).pipe(Effect.ensuring(Effect.sync(log.erase)))
          }
        return {
          emit,
          emitAll,
          print: (text) => out(lineOf(redaction.applyToOutput(text))),
          printData: (text) => outData(lineOf(redaction.applyToOutput(text))),
          write: outData,
          needsOutput,
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

const jsonOf = (event: Event, mode: OutputMode, redaction: Redaction): string => {
  const { code, level, fields } = eventTexts[event._tag] as EventText<Event>
  return Printable.json({
    event: code,
    ...(mode.stamped === true ? stamp(level) : {}),
    ...redaction.applyToFields(fields(event, mode))
  })
}

const stamp = (level: LogLevel.LogLevel) => ({
  time: new Date().toISOString(),
  level: nameOf(level)
})

/** The names of levels, as for `--log-level`. */
const nameOf = ({ label }: LogLevel.LogLevel): string =>
  label === "WARN" ? "warning" : label.toLowerCase()

/**
 * The bytes of a message for stdout: escaped on a terminal; otherwise unchanged, with a newline
 * added unless the message ends with one or is the whole output.
 */
const forOutput = (text: Uint8Array, { exact }: OutputMode, isTerminal: boolean): Uint8Array => {
  const shown = isTerminal ? Buffer.from(Printable.bytes(text)) : Buffer.from(text)
  const needsNewline = isTerminal || !exact
  return needsNewline && shown.at(-1) !== 0x0a ? Buffer.concat([shown, Buffer.from("\n")]) : shown
}

/** True for a terminal with colours, unless NO_COLOR is set (no-color.org). */
export const supportsColour = (
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>
): boolean => stream.isTTY === true && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb"

export const stripColour = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, "")

const levelPrefixes = [
  [LogLevel.Error, "\u001b[31m", "error: "],
  [LogLevel.Warning, "\u001b[33m", "warning: "]
] as const

const textOf = (message: unknown, cause: Cause.Cause<unknown>, redaction: Redaction): string => {
  const parts = [message].flat().map(String)
  if (!Cause.isEmpty(cause)) parts.push(errorMessage(Cause.squash(cause)))
  return oneLine(parts.join(": "), redaction)
}

/** Writes each log entry as JSON; its annotations are `event` and further fields. */
export const jsonLogger = (log: Log.Log, redaction: Redaction) =>
  Logger.make(({ logLevel, message, cause, annotations }) => {
    const { event = "log", ...fields } = Object.fromEntries(annotations)
    log.write(
      `${Printable.json({ event, ...stamp(logLevel), message: textOf(message, cause, redaction), ...redaction.applyToFields(fields) })}\n`
    )
  })

/** Writes each log entry as one line. */
export const logger = (log: Log.Log, hasColour: boolean, redaction: Redaction) =>
  Logger.make(({ logLevel, message, cause }) => {
    const [, colour = "", prefix = ""] =
      levelPrefixes.find(([level]) => LogLevel.greaterThanEqual(logLevel, level)) ?? []
    const shown = colour !== "" && hasColour ? `${colour}${prefix}\u001b[0m` : prefix
    log.write(`sealwire: ${shown}${textOf(message, cause, redaction)}\n`)
  })

/** Formats the error that ends the command: a line, or JSON with the tag of the error as `code`. */
export const formatFailure = (
  code: string,
  text: string,
  exit: number,
  json: boolean,
  redaction: Redaction
): string =>
  json
    ? Printable.json({ event: "error", code, message: oneLine(text, redaction), exit })
    : `sealwire: ${oneLine(text, redaction)}`

export const errorMessage = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** Joins lines, escapes control characters, and hides what may be a secret of the input. */
const oneLine = (text: string, redaction: Redaction): string =>
  Printable.line(
    redaction
      .apply(text)
      .trim()
      .replace(/\s*\n\s*/g, "; ")
  )
