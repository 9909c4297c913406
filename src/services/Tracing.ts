// What is worth a span: a connection made, a session, a batch handled, a transfer, a connection through a tunnel; never a record or a single message of many.
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Names, places, counts and lengths. Never a text, a key or a message id. */
export type Attributes = Readonly<Record<string, string | number>>

export interface SpanOptions {
  readonly kind: Tracer.SpanKind
  readonly attributes: Attributes
  /** What is known only at the end. */
  readonly atEnd?: () => Attributes
  /**
   * `own`: a trace of its own, with a link to the span it is in. A session may stand for weeks, and what it handles is looked at before it ends.
   * Default: `child`.
   */
  readonly trace?: "child" | "own"
}

/** What may be told of an error whose message names a file; undefined for every other. */
export const namelessOf = (error: unknown): string | undefined =>
  typeof error === "object" &&
  error !== null &&
  "nameless" in error &&
  typeof error.nameless === "string"
    ? error.nameless
    : undefined

/** An error as a span has it: without what is nobody else's. */
class Told extends Error {
  readonly error: unknown
  constructor(message: string, error: unknown) {
    super(message)
    this.name = (error as Error).name
    this.stack = `${this.name}: ${message}`
    this.error = error
  }
}

/** The tracer of who has none. */
const nobody = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** In a span of this name, where somebody traces. Else as it is: a span that nobody takes would cost 10 us, this costs 0.5. */
export const spanned =
  (name: `sealwire.${string}`, options: () => SpanOptions) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.tracerWith((tracer) => (tracer === nobody ? effect : traced(name, options(), effect)))

const traced = <A, E, R>(
  name: string,
  { kind, attributes, atEnd = () => ({}), trace = "child" }: SpanOptions,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.option(Effect.currentSpan), (outer) =>
    effect.pipe(
      Effect.ensuring(Effect.suspend(() => Effect.annotateCurrentSpan(atEnd()))),
      Effect.mapError((error) => {
        const text = namelessOf(error)
        return text === undefined ? error : new Told(text, error)
      }),
      Effect.withSpan(name, {
        kind,
        attributes,
        captureStackTrace: false,
        ...(trace === "child"
          ? {}
          : {
              root: true,
              links: Option.toArray(outer).map((span) => ({
                _tag: "SpanLink" as const,
                span,
                attributes: {}
              }))
            })
      }),
      Effect.mapError((error) => (error instanceof Told ? error.error : error))
    )
  ) as Effect.Effect<A, E, R>
