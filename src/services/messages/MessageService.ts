// The message service of a server: gives messages to a handler and requests to a reply function.
// MESSAGES.md.
import * as Effect from "effect/Effect"
import type { RemotePeer, Service, SessionFailure } from "../Service.ts"
import { map } from "../finished.ts"
import { isTraced, spanned } from "../Tracing.ts"
import { metrics } from "./metrics.ts"
import { MessageRefused } from "./MessageErrors.ts"
import { limits, type Message } from "./MessageFrame.ts"
import { senderId } from "./MessageHandler.ts"
import * as MessageSession from "./MessageSession.ts"
import type { HandleBatch, Outcome } from "./MessageSession.ts"
import { sizeOf } from "./batches.ts"
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
  return {
    name,
    ruleOptions,
    run: (session) =>
      Effect.flatMap(isTraced, (traced) =>
        MessageSession.run(session, batchHandler(session.remote, handle, answer, traced))
      )
  }
}

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
