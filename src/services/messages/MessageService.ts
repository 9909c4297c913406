// The message service of a server: gives messages to a handler and requests to a reply function.
// MESSAGES.md.
import * as Effect from "effect/Effect"
import type { RemotePeer, Service } from "../Service.ts"
import { spanned } from "../Tracing.ts"
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
 * session; they are acknowledged when it succeeds.
 */
export type HandleMessages = (
  messages: ReadonlyArray<Message>,
  sender: RemotePeer
) => Effect.Effect<void, MessageRefused>

/**
 * Handles a message that requests a reply and returns the reply, at most `limits.replyBytes`.
 * Called with one message at a time for each session, in order with the others.
 */
export type ReplyToMessage = (
  message: Message,
  sender: RemotePeer
) => Effect.Effect<Uint8Array, MessageRefused>

/** Options of the message service. */
export interface ServiceOptions {
  /**
   * Called once for each request; a request that is sent again gets the cached reply
   * (ReplyCache.ts). Default: requests are refused.
   */
  readonly reply?: ReplyToMessage | undefined
}

/** Returns a service for Server that gives messages to `handle` and requests to `reply`. */
export const service = (handle: HandleMessages, { reply }: ServiceOptions = {}): Service => {
  const answer = reply === undefined ? refuseRequest : replyOnce(reply)
  return {
    name,
    ruleOptions,
    run: (session) => MessageSession.run(session, batchHandler(session.remote, handle, answer))
  }
}

type AnswerRequest = (
  request: Message,
  sender: RemotePeer
) => Effect.Effect<Outcome, MessageRefused>

const refuseRequest: AnswerRequest = () =>
  new MessageRefused({
    reason: "it requests a reply, and this server gives none",
    noReplies: true
  })

const replyOnce = (reply: ReplyToMessage): AnswerRequest => {
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
  (remote: RemotePeer, handle: HandleMessages, answer: AnswerRequest): HandleBatch =>
  (batch) => {
    const [first] = batch as readonly [Message]
    const arrivedAt = performance.now()
    const measured = <A>(outcome: A): A => {
      metrics.receipt.observe((performance.now() - arrivedAt) / 1000)
      return outcome
    }
    const handling = first.wantsReply
      ? Effect.map(answer(first, remote), measured)
      : Effect.map(handle(batch, remote), () => measured(handledOutcome))
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
