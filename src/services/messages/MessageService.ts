// The server's side of a message session: message -> handler -> receipt. MESSAGES.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { limits, MessageDecoder, type Message } from "./MessageFrame.ts"
import { encodeReceipt, type Receipt } from "./Receipt.ts"
import { ReplyCache } from "./ReplyCache.ts"
import { limits as sessionLimits } from "../limits.ts"
import { sessionCounter } from "../Metrics.ts"
import { overMemory } from "../PeerBudgets.ts"
import { RefusedByRules } from "../PeerSessions.ts"
import { spendBytes } from "../rules.ts"
import { metrics } from "./metrics.ts"
import { fitsAllowance, name, ruleOptions, takeMessages } from "./rules.ts"
import type { RemotePeer, Service, ServiceSession } from "../Service.ts"
import { spanned } from "../Tracing.ts"
import { senderId } from "./MessageHandler.ts"

/** The handler refused a message. The message was not handled, and the client's receipt says so. */
export class MessageRefused extends Data.TaggedError("MessageRefused")<{
  /** A clause for the server's log: "the disk is full". */
  readonly reason: string
  /** True when the message may be sent again later. Default: false. */
  readonly retry?: boolean
  /**
   * Number of messages of the batch, from its first, that were handled: they are acknowledged, and
   * the next one is refused. Default: 0.
   */
  readonly handled?: number
  /** True when the message requests a reply and this server gives none. Default: false. */
  readonly noReplies?: boolean
}> {
  override get message(): string {
    return `message refused: ${this.reason}`
  }
}

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
  return { name, ruleOptions, run: (session) => receive(session, handle, answer) }
}

/** The receipt of handled messages, but for its count. */
type Outcome = Omit<Receipt, "count">
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

/**
 * Splits messages into batches for the handler: adjacent plain messages together, each request
 * alone.
 */
const handlerBatches = (
  messages: ReadonlyArray<Message>
): ReadonlyArray<ReadonlyArray<Message>> => {
  if (messages.length === 0) return []
  if (!messages.some(({ wantsReply }) => wantsReply)) return [messages]
  const batches: Array<Array<Message>> = []
  for (const message of messages) {
    const last = batches.at(-1)
    if (last === undefined || message.wantsReply || last[0]?.wantsReply === true)
      batches.push([message])
    else last.push(message)
  }
  return batches
}

const handledOutcome: Outcome = { status: "handled" }

const statusOf = ({ retry, noReplies }: MessageRefused): Receipt["status"] => {
  if (noReplies === true) return "no replies"
  return retry === true ? "later" : "refused"
}

/**
 * Runs one session until the client's FIN, an error, or the end of the first message after the
 * server drains.
 */
const receive = (
  session: ServiceSession,
  handle: HandleMessages,
  answer: AnswerRequest
): Effect.Effect<void, ChannelError | MessageRefused | RefusedByRules, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, counters, peerSession } = session
    const decoder = new MessageDecoder()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => peerSession && spendBytes(peerSession, decoder.held))
    )
    const tampered = (detail: string) => new ChannelTampered({ peer: channel.peer, detail })
    const handleAndAcknowledge = acknowledger(session, handle, answer)
    const drain = yield* watchDraining(session, decoder)
    const reserveExpected = memoryOfMessages(session)
    let wasInterrupted = false
    while (!drain.hasStarted || !decoder.isEmpty) {
      const chunk = yield* channel.read
      if (chunk === undefined) {
        // Draining interrupted the read inside a message: read that message to its end.
        if (!drain.hasStarted || wasInterrupted || decoder.isEmpty) break
        wasInterrupted = true
        continue
      }
      if (chunk instanceof Channel.Control) return yield* tampered("unexpected control message")
      const messages = decoder.push(chunk)
      const fits = peerSession === undefined || fitsAllowance(peerSession, decoder.held)
      if (messages.length === 0 && fits && !decoder.isBroken) {
        yield* reserveExpected(decoder.expected)
        continue
      }
      const allowed = takeAllowed(peerSession, messages)
      for (const batch of handlerBatches(allowed)) yield* handleAndAcknowledge(batch)
      if (allowed.length < messages.length || !fits) {
        yield* channel.write(encodeReceipt({ status: "limited", count: counters.messages ?? 0 }))
        return yield* new RefusedByRules({
          peer: channel.peer,
          reason: "it exceeds its limit of messages or bytes per minute"
        })
      }
      // The messages before it have been handled, wherever the records ended.
      if (decoder.isBroken) return yield* tampered("message longer than the limit")
      yield* reserveExpected(decoder.expected)
    }
    if (!decoder.isEmpty) return yield* tampered("FIN inside a message")
    // While draining the close reason tells the client why, so the stream is not ended as complete.
    if (!drain.hasStarted) yield* channel.end
  })

/**
 * Returns a function that reserves the memory of the message that is being received, and gives back
 * that of the one before. Waits while other sessions of the peer hold the memory, and refuses the
 * message after `limits.memoryDeadline`. A whole message is reserved at once: two sessions never
 * wait for each other.
 */
const memoryOfMessages = ({ channel, memory, counters }: ServiceSession) => {
  let reserved = 0
  return (expected: number): Effect.Effect<void, ChannelError | RefusedByRules> => {
    const needed = expected <= sessionLimits.unreservedBytes ? 0 : expected
    if (needed === reserved) return Effect.void
    memory.release(reserved)
    reserved = 0
    return Effect.flatMap(memory.reserveOrWait(needed), (isReserved) => {
      if (isReserved) {
        reserved = needed
        return Effect.void
      }
      const receipt = encodeReceipt({ status: "limited", count: counters.messages ?? 0 })
      return Effect.zipRight(channel.write(receipt), overMemory(channel.peer, memory))
    })
  }
}

/**
 * Interrupts the read between two messages when the server drains: the message that it has begun to
 * read is still handled and acknowledged, and no further one.
 */
const watchDraining = (
  { channel, connection }: ServiceSession,
  decoder: MessageDecoder
): Effect.Effect<{ readonly hasStarted: boolean }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const drain = { hasStarted: false }
    const start = Effect.suspend(() => {
      drain.hasStarted = true
      return Effect.zipRight(
        channel.setCloseReason("GoingAway"),
        decoder.isEmpty ? channel.interruptRead : Effect.void
      )
    })
    yield* Effect.forkScoped(Effect.zipRight(connection.draining, start))
    return drain
  })

/** Takes messages from the peer's allowances. Returns those that the allowances permit. */
const takeAllowed = (
  peerSession: ServiceSession["peerSession"],
  messages: ReadonlyArray<Message>
): ReadonlyArray<Message> => {
  if (peerSession === undefined) return messages
  const sizes = messages.map(({ size }) => size)
  return messages.slice(0, takeMessages(peerSession, sizes))
}

/**
 * Returns a function that gives a batch to the handler and writes the receipt, which counts from
 * the first message.
 */
const acknowledger = (
  { channel, remote, counters, memory }: ServiceSession,
  handle: HandleMessages,
  answer: AnswerRequest
) => {
  const add = sessionCounter(metrics, counters)
  let handled = 0
  const count = (messages: ReadonlyArray<Message>) => {
    handled += messages.length
    add("messages", messages.length)
    add("bytes", sizeOf(messages))
  }
  /** A reply is held until the client has read it. */
  const withReplyMemory = (
    use: Effect.Effect<void, ChannelError | MessageRefused>
  ): Effect.Effect<void, ChannelError | MessageRefused | RefusedByRules> =>
    Effect.gen(function* () {
      if (!(yield* memory.reserveOrWait(limits.replyBytes))) {
        yield* channel.write(encodeReceipt({ status: "limited", count: handled }))
        return yield* overMemory(channel.peer, memory)
      }
      const release = Effect.sync(() => memory.release(limits.replyBytes))
      return yield* Effect.ensuring(use, release)
    })
  return (
    batch: ReadonlyArray<Message>
  ): Effect.Effect<void, ChannelError | MessageRefused | RefusedByRules> => {
    const [first] = batch as readonly [Message]
    const handling = first.wantsReply
      ? answer(first, remote)
      : Effect.as(handle(batch, remote), handledOutcome)
    const acknowledged = handling.pipe(
      spanned(first.wantsReply ? "sealwire.reply" : "sealwire.handle", () => ({
        kind: first.wantsReply ? "server" : "consumer",
        trace: "own",
        attributes: {
          "sealwire.peer": remote.peer,
          "sealwire.messages": batch.length,
          "sealwire.bytes": sizeOf(batch)
        }
      })),
      Effect.matchEffect({
        onFailure: (refused) => {
          count(batch.slice(0, refused.handled ?? 0))
          const receipt = encodeReceipt({ status: statusOf(refused), count: handled })
          return Effect.zipRight(channel.write(receipt), refused)
        },
        onSuccess: (outcome) => {
          count(batch)
          return channel.write(encodeReceipt({ ...outcome, count: handled }))
        }
      })
    )
    return first.wantsReply ? withReplyMemory(acknowledged) : acknowledged
  }
}

const sizeOf = (messages: ReadonlyArray<Message>): number =>
  messages.reduce((sum, { size }) => sum + size, 0)
