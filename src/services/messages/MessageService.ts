// The message service of a server: gives messages to a handler and requests to a reply function.
// MESSAGES.md.
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { RemotePeer, Service, SessionFailure } from "../Service.ts"
import { map } from "../finished.ts"
import { isTraced, spanned } from "../Tracing.ts"
import { metrics } from "./metrics.ts"
import { MessageRefused } from "./MessageErrors.ts"
import { limits, type Message } from "./MessageFrame.ts"
import { senderId } from "./MessageHandler.ts"
import * as MessageSession from "./MessageSession.ts"
import type { HandleBatch, Outcome } from "./MessageSession.ts"
import { singly, sizeOf } from "./batches.ts"
import { jsonCodec, placeOf } from "./jsonCodec.ts"
import { Rendezvous } from "./Rendezvous.ts"
import { ReplyCache } from "./ReplyCache.ts"
import { name, ruleOptions } from "./rules.ts"

export { MessageRefused }

/**
 * Handles a batch of messages. Called with the messages in order, with one batch at a time for each
 * session; they are acknowledged when it succeeds. With an error other than MessageRefused the
 * session ends with that error, and the client is told to send the messages again later.
 */
export type HandleMessages<E = never, R = never> = (
  messages: ReadonlyArray<Message>,
  sender: RemotePeer
) => Effect.Effect<void, MessageRefused | E, R>

/**
 * Handles a message that requests a reply and returns the reply, at most `limits.replyBytes`.
 * Called with one message at a time for each session, in order with the others. Errors are as those
 * of HandleMessages.
 */
export type ReplyToMessage<E = never, R = never> = (
  message: Message,
  sender: RemotePeer
) => Effect.Effect<Uint8Array, MessageRefused | E, R>

/** Options of the message service. */
export interface ServiceOptions<E = never, R = never> {
  /**
   * Called once for each request; a request that is sent again gets the cached reply
   * (ReplyCache.ts). Default: requests are refused.
   */
  readonly reply?: ReplyToMessage<E, R> | undefined
}

/**
 * Returns a service for Server that gives messages to `handle` and requests to `reply`. The server
 * requires what they require.
 *
 * @example
 * MessageService.service((messages, { peer }) =>
 *   Effect.flatMap(Orders, (orders) => orders.store(peer, messages.map(({ text }) => text)))
 * ) // Service<MessageRefused, Orders>
 */
export const service = <E extends SessionFailure = never, R = never>(
  handle: HandleMessages<E, R>,
  { reply }: ServiceOptions<E, R> = {}
): Service<MessageRefused | E, R> => {
  const answer = reply === undefined ? refuseRequest : replyOnce(reply)
  return serviceOf(handle, answer)
}

const serviceOf = <E extends SessionFailure, R>(
  handle: HandleMessages<E, R>,
  answer: AnswerRequest<E, R>,
  split?: typeof singly
): Service<MessageRefused | E, R> => ({
  name,
  ruleOptions,
  run: (session) =>
    Effect.flatMap(isTraced, (traced) =>
      MessageSession.run(session, batchHandler(session.remote, handle, answer, traced), split)
    )
})

/** A message, and who sent it. */
export interface ReceivedMessage {
  readonly message: Message
  readonly sender: RemotePeer
}

/** A service whose messages are a Stream. */
export interface MessageStream {
  readonly service: Service<MessageRefused>
  /**
   * The messages of all sessions. A message is acknowledged when its reader demands the next one, or
   * ends the stream without an error: a stage that reads ahead acknowledges what it has not handled.
   * When the reader fails, the sender is told to send the message again later. Several readers share
   * the messages; while there is none, the senders wait. A message that comes again, because its
   * receipt was lost, has the same `id`.
   */
  readonly messages: Stream.Stream<ReceivedMessage>
}

/**
 * Makes a service that gives its messages to the reader of a Stream, with back-pressure. Requests
 * for a reply are refused.
 *
 * @example
 * const { service, messages } = yield* MessageService.stream
 * yield* Server.listen({ address, keys: Server.sharedKey, services: [service] })
 * yield* Stream.runForEach(messages, ({ message }) => Effect.log(message.text.length)).pipe(
 *   Effect.forkScoped
 * )
 */
export const stream: Effect.Effect<MessageStream> = Effect.sync(() => {
  const rendezvous = new Rendezvous<ReceivedMessage, MessageRefused>(
    () => new MessageRefused({ reason: "the reader of its stream has failed", retry: true })
  )
  const handle: HandleMessages = (messages, sender) =>
    Effect.forEach(messages, (message) => rendezvous.offer({ message, sender }), { discard: true })
  return { service: serviceOf(handle, refuseRequest, singly), messages: rendezvous.stream }
})

/** Handles a value: what it was sent as, and who sent it. */
export type HandleValue<A, B, E = never, R = never> = (
  value: A,
  sender: RemotePeer,
  message: Message
) => Effect.Effect<B, MessageRefused | E, R>

/** The replies of a service with a schema. */
export interface SchemaReplies<A, B, J, E, R> {
  readonly schema: Schema.Schema<B, J, R>
  /** Called once for each request, as `ServiceOptions.reply`. */
  readonly handle: HandleValue<A, B, E, R>
}

/**
 * Returns a service whose messages are values of a schema, as JSON: the handler gets one value after
 * the other, and each has a receipt of its own. A text that does not decode is refused: its sender
 * gets `NotTaken` with the status "refused", and the reason, which repeats nothing of the text, is
 * the error of the session.
 *
 * @example
 * class Order extends Schema.Class<Order>("Order")({ item: Schema.String, count: Schema.Int }) {}
 * const orders = MessageService.schema(Order, (order, { peer }) =>
 *   Effect.log(`${peer} orders ${order.count} of ${order.item}`)
 * )
 */
export const schema = <
  A,
  I,
  R1,
  E extends SessionFailure = never,
  R2 = never,
  B = never,
  J = never
>(
  message: Schema.Schema<A, I, R1>,
  handle: HandleValue<A, void, E, R2>,
  { reply }: { readonly reply?: SchemaReplies<A, B, J, E, R2> } = {}
): Service<MessageRefused | E, R1 | R2> => {
  const codec = jsonCodec(message)
  const decoded = <C>(
    received: Message,
    sender: RemotePeer,
    use: HandleValue<A, C, E, R2>
  ): Effect.Effect<C, MessageRefused | E, R1 | R2> =>
    Effect.flatMap(Effect.mapError(codec.decode(received.text), refusedText), (value) =>
      use(value, sender, received)
    )
  const handleOne: HandleMessages<E, R1 | R2> = (messages, sender) =>
    Effect.forEach(messages, (each) => decoded(each, sender, handle), { discard: true })
  if (reply === undefined) return serviceOf(handleOne, refuseRequest, singly)
  const replies = jsonCodec(reply.schema)
  const answer = replyOnce<E, R1 | R2>((request, sender) =>
    Effect.flatMap(decoded(request, sender, reply.handle), (value) =>
      // A reply that its own schema refuses is a fault of the handler.
      Effect.orDie(replies.encode(value))
    )
  )
  return serviceOf(handleOne, answer, singly)
}

/** The place in the text alone: a server's log must repeat nothing that a client sends. */
const refusedText = (error: ParseResult.ParseError): MessageRefused =>
  new MessageRefused({ reason: `its text does not match the schema${placeOf(error)}` })

type AnswerRequest<E, R> = (
  request: Message,
  sender: RemotePeer
) => Effect.Effect<Outcome, MessageRefused | E, R>

const refuseRequest: AnswerRequest<never, never> = () =>
  new MessageRefused({
    reason: "it requests a reply, and this server gives none",
    noReplies: true
  })

const replyOnce = <E, R>(reply: ReplyToMessage<E, R>): AnswerRequest<E, R> => {
  const cache = new ReplyCache()
  const checkedReply = (request: Message, sender: RemotePeer) =>
    Effect.filterOrFail(
      reply(request, sender),
      ({ length }) => length <= limits.replyBytes,
      ({ length }) =>
        new MessageRefused({
          reason: `its reply has ${length.toLocaleString("en-US")} bytes; the limit is ${maxReply}`
        })
    )
  return (request, sender) =>
    Effect.map(
      cache.replyOnce(senderId(sender), request, () => checkedReply(request, sender)),
      (text) => (text === undefined ? { status: "reply lost" } : { status: "reply", text })
    )
}

const maxReply = limits.replyBytes.toLocaleString("en-US")

const handledOutcome: Outcome = { status: "handled" }

const batchHandler =
  <E, R>(
    remote: RemotePeer,
    handle: HandleMessages<E, R>,
    answer: AnswerRequest<E, R>,
    traced: boolean
  ): HandleBatch<E, R> =>
  (batch) => {
    const [first] = batch as readonly [Message]
    const arrivedAt = performance.now()
    const measured = <A>(outcome: A): A => {
      metrics.receipt.observe((performance.now() - arrivedAt) / 1000)
      return outcome
    }
    const handling = first.wantsReply
      ? map(answer(first, remote), measured)
      : map(handle(batch, remote), () => measured(handledOutcome))
    if (!traced) return handling
    return spanned(first.wantsReply ? "sealwire.reply" : "sealwire.handle", () => ({
      kind: first.wantsReply ? "server" : "consumer",
      trace: "own",
      attributes: {
        "sealwire.peer": remote.peer,
        "sealwire.messages": batch.length,
        "sealwire.bytes": sizeOf(batch)
      }
    }))(handling)
  }
