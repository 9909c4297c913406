// Values of a schema as the texts of messages: JSON in UTF-8.
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { shown } from "../../bytes/excerpt.ts"
import * as Utf8 from "../../bytes/Utf8.ts"

/** Encodes and decodes the values of a schema. */
export interface JsonCodec<A, R> {
  readonly encode: (value: A) => Effect.Effect<Uint8Array, ParseResult.ParseError, R>
  readonly decode: (text: Uint8Array) => Effect.Effect<A, ParseResult.ParseError, R>
}

export const jsonCodec = <A, I, R>(schema: Schema.Schema<A, I, R>): JsonCodec<A, R> => {
  const [encode, decode] = [ParseResult.encodeUnknown(schema), ParseResult.decodeUnknown(schema)]
  const wrong = (value: unknown, clause: string) => new ParseResult.Type(schema.ast, value, clause)
  const toText = (encoded: I): Effect.Effect<Uint8Array, ParseResult.ParseIssue> => {
    try {
      const json = JSON.stringify(encoded) as string | undefined
      return json === undefined
        ? Effect.fail(wrong(encoded, "JSON has no such value"))
        : Effect.succeed(Buffer.from(json))
    } catch {
      return Effect.fail(wrong(encoded, "JSON has no such value"))
    }
  }
  const toJson = (text: Uint8Array): Effect.Effect<unknown, ParseResult.ParseIssue> => {
    const json = Utf8.decode(text)
    if (json === undefined) return Effect.fail(wrong(text, "not UTF-8"))
    try {
      return Effect.succeed(JSON.parse(json))
    } catch {
      return Effect.fail(wrong(json, "not JSON"))
    }
  }
  return {
    encode: (value) =>
      Effect.mapError(Effect.flatMap(encode(value), toText), ParseResult.parseError),
    decode: (text) =>
      Effect.mapError(
        Effect.flatMap(
          Effect.suspend(() => toJson(text)),
          (json) => decode(json)
        ),
        ParseResult.parseError
      )
  }
}

/** Returns the place of an error in a value, for a message: ", at items.0.count". */
export const placeOf = ({ issue }: ParseResult.ParseError): string => {
  const path = ParseResult.ArrayFormatter.formatIssueSync(issue)[0]?.path ?? []
  return path.length === 0 ? "" : `, at ${shown(path.map(String).join("."))}`
}
