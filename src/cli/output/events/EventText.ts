// The text and the JSON form of an event.
import type * as LogLevel from "effect/LogLevel"

/** The form of a command's output, from its options. */
export interface OutputMode {
  /** Events are JSON, one object per line on stdout. */
  readonly json: boolean
  /** Shows the bytes on the wire. */
  readonly wire: boolean
  /** Writes messages without an added newline: one message is the whole output. */
  readonly exact: boolean
  /** Adds `time` and `level` to each JSON object, for logs. */
  readonly stamped?: boolean
}

export interface EventText<E> {
  /** The value of `event` in JSON. Part of the interface: docs/reference/json-events.md. */
  readonly code: string
  readonly level: LogLevel.LogLevel
  /** The line on stderr; undefined for an event that is data on stdout. */
  readonly line: (event: E, mode: OutputMode) => string | undefined
  /** The fields beside `event` in JSON. Part of the interface. */
  readonly fields: (event: E, mode: OutputMode) => Readonly<Record<string, unknown>>
}

/** One text per event. */
export type EventTexts<Events> = { readonly [T in keyof Events]: EventText<Events[T]> }
