// A session whose messages are values of a schema.
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { jsonCodec } from "./jsonCodec.ts"

/** The part of a session that sends texts. */
interface TextClient<E1, E2> {
  readonly send: (texts: ReadonlyArray<Uint8Array>) => Effect.Effect<void, E1>
  readonly request: (text: Uint8Array) => Effect.Effect<Uint8Array, E2>
}

/** A session that sends values of a schema. */
export interface SchemaClient<A, E, R> {
  /** Sends values and waits until the server has handled all of them, as `MessageClient.send`. */
  readonly send: (values: ReadonlyArray<A>) => Effect.Effect<void, E | ParseResult.ParseError, R>
}

/** The same, with replies. */
export interface SchemaRequestClient<A, B, E1, E2, R> extends SchemaClient<A, E1, R> {
  /** Sends a value and returns the server's reply, as `MessageClient.request`. */
  readonly request: (value: A) => Effect.Effect<B, E2 | ParseResult.ParseError, R>
}

/**
 * Returns the session with values of a schema in place of texts, and replies of `reply`. Nothing is
 * sent of values of which one does not encode. A server that refuses a value, because its schema is
 * another, makes `NotTaken` with the status "refused".
 *
 * @example
 * const orders = MessageClient.schema(yield* MessageClient.MessageClient, Order)
 * yield* orders.send([new Order({ item: "tea", count: 2 })])
 */
export const schema: {
  <A, I, R, E1, E2>(
    client: TextClient<E1, E2>,
    message: Schema.Schema<A, I, R>
  ): SchemaClient<A, E1, R>
  <A, I, R1, B, J, R2, E1, E2>(
    client: TextClient<E1, E2>,
    message: Schema.Schema<A, I, R1>,
    options: { readonly reply: Schema.Schema<B, J, R2> }
  ): SchemaRequestClient<A, B, E1, E2, R1 | R2>
} = <A, I, R1, B, J, R2, E1, E2>(
  { send, request }: TextClient<E1, E2>,
  message: Schema.Schema<A, I, R1>,
  options?: { readonly reply: Schema.Schema<B, J, R2> }
): SchemaRequestClient<A, B, E1, E2, R1 | R2> => {
  const { encode } = jsonCodec(message)
  const client: SchemaClient<A, E1, R1> = {
    send: (values) => Effect.flatMap(Effect.forEach(values, encode), send)
  }
  // The overloads give `request` to a caller with `reply` alone.
  if (options === undefined) return client as SchemaRequestClient<A, B, E1, E2, R1 | R2>
  const { decode } = jsonCodec(options.reply)
  return {
    ...client,
    request: (value) => encode(value).pipe(Effect.flatMap(request), Effect.flatMap(decode))
  }
}
