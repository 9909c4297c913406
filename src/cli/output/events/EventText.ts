// What the words for an event are.
import type * as LogLevel from "effect/LogLevel"

/** How a command speaks, from its options. */
export interface OutputMode {
  readonly json: boolean
  /** Show the bytes on the wire. */
  readonly wire: boolean
  /** Messages go out as they are, with no newline added: one message is the whole output. */
  readonly exact: boolean
  /** For a log: each object has the time and the level, too. */
  readonly stamped?: boolean
}

export interface EventText<E> {
  /** The stable name in `--json`. */
  readonly code: string
  readonly level: LogLevel.LogLevel
  /** The line on stderr; none for what is data. */
  readonly line: (event: E, mode: OutputMode) => string | undefined
  /** The fields in `--json`. */
  readonly fields: (event: E, mode: OutputMode) => Readonly<Record<string, unknown>>
}

/** One entry per event. */
export type EventTexts<Events> = { readonly [T in keyof Events]: EventText<Events[T]> }
