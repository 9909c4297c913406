// Sends messages over a channel and waits for their receipts. MESSAGES.md.
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import type { Channel } from "../../channel/Channel.ts"
import type { ChannelError, HandshakeFailed } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import type { Transport } from "../../transports/Transport.ts"
import type { ConnectFailed } from "../../transports/TransportErrors.ts"
import { dial, type DialOptions } from "../Dial.ts"
import { BatchWriter } from "./BatchWriter.ts"
import { MessageTooLong, type NotTaken, type ReplyLost } from "./MessageErrors.ts"
import { encodeMessages, limits as messageLimits, type Batch } from "./MessageFrame.ts"
import { ReceiptReader } from "./ReceiptReader.ts"
import { ReceiptTracker, type OnReply } from "./ReceiptTracker.ts"
import { name } from "./rules.ts"
import { opening } from "../Service.ts"
import { spanned } from "../Tracing.ts"

export { MessageTooLong, NotTaken, ReplyLost } from "./MessageErrors.ts"
export { schema, type SchemaClient, type SchemaRequestClient } from "./SchemaClient.ts"

/** The limits of a client. */
export const limits = {
  /**
   * Requests of one session without a reply, including those that nobody waits for any more.
   * Further requests wait.
   */
  pendingReplies: 64
} as const

/** A session that sends messages. */
export interface MessageClient {
  readonly channel: Channel
  /**
   * Sends messages and waits until the server has handled all of them. Long texts are not copied:
   * the caller must not change them before.
   */
  readonly send: (
    texts: ReadonlyArray<Uint8Array>
  ) => Effect.Effect<void, MessageTooLong | NotTaken | ChannelError>
  /**
   * Sends a message and returns the server's reply, at most 1 MiB; the message is handled with it.
   * At most `limits.pendingReplies` requests run at the same time. After a lost connection the
   * message may have been handled; another `request` has a new id, and the server handles it again.
   * `Delivery` keeps the ids across sessions.
   */
  readonly request: (
    text: Uint8Array
  ) => Effect.Effect<Uint8Array, MessageTooLong | NotTaken | ReplyLost | ChannelError>
  /**
   * Writes encoded messages without waiting for receipts, for callers that use `onReceipt`. Never
   * completes when the session is lost; `ended` reports the loss.
   */
  readonly sendBatch: (batch: Batch) => Effect.Effect<void>
  /**
   * Sets the function that is called for each receipt with the number of handled messages of this
   * session. For a request it is also called with the reply, or without it when the reply is lost.
   */
  readonly onReceipt: (listener: (count: number, reply?: Uint8Array) => void) => void
  /** Fails with the reason why the session ended; never completes while the session is open. */
  readonly ended: Effect.Effect<never, NotTaken | ChannelError>
}

/** A session that sends messages, as a service: `MessageClient.layer` provides it. */
export const MessageClient: Context.Tag<MessageClient, MessageClient> =
  Context.GenericTag<MessageClient>("sealwire/services/messages/MessageClient")

/**
 * Provides a session that is open once the layer is built. A session that is lost stays lost:
 * `Delivery` sends across sessions.
 *
 * @example
 * const ClientLive = MessageClient.layer({ address, keys: Credentials.sharedKey }).pipe(
 *   Layer.provide([KeyStore.layerEnv("SEALWIRE_KEY"), Transport.layerNet])
 * )
 */
export const layer = <E = never, R = never>(
  options: DialOptions<E, R>
): Layer.Layer<MessageClient, ConnectFailed | HandshakeFailed | E, R | Transport> =>
  Layer.scoped(MessageClient, connect(options)) as Layer.Layer<
    MessageClient,
    ConnectFailed | HandshakeFailed | E,
    R | Transport
  >

/** Opens a session. It is closed with FIN and CLOSE when the scope closes. */
export const connect = <E = never, R = never>(
  options: DialOptions<E, R>
): Effect.Effect<MessageClient, ConnectFailed | HandshakeFailed | E, R | Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const channel = yield* dial(options, opening(name))
    const receipts = new ReceiptTracker(channel.peer)
    const writer = new BatchWriter(channel.flow)
    const reader = new ReceiptReader(channel, receipts, writer, yield* Timers.current)
    yield* Effect.addFinalizer(() => Effect.sync(() => reader.stop()))
    reader.start()
    // The server counts messages in the order of the stream, so counting and writing are one step.
    const write: WriteBatch = (batch, count = () => receipts.countSent(batch)) =>
      writer.write(batch, count)
    const attributesOf = (texts: ReadonlyArray<Uint8Array>) => ({
      "sealwire.peer": channel.peer,
      "sealwire.messages": texts.length,
      "sealwire.bytes": texts.reduce((sum, { length }) => sum + length, 0)
    })
    /**
     * Writes batches in this turn as long as the send buffer has room. Returns the effect that
     * writes the others, if any.
     */
    const writeAll = (batches: Iterator<Batch>): Effect.Effect<void> | undefined => {
      for (let next = batches.next(); next.done !== true; next = batches.next()) {
        const batch = next.value
        if (writer.hasRoom) writer.writeOnce(batch, () => receipts.countSent(batch))
        else
          return Effect.matchEffect(write(batch), {
            // Reported by the receipts: messages before it may still be acknowledged.
            onFailure: () => Effect.void,
            onSuccess: () => writeAll(batches) ?? Effect.void
          })
      }
      return undefined
    }
    const send: MessageClient["send"] = (texts) =>
      Effect.suspend((): Effect.Effect<void, MessageTooLong | NotTaken | ChannelError> => {
        const error = tooLong(texts)
        if (error !== undefined) return error
        const rest = writeAll(encodeMessages(texts))
        return rest === undefined ? receipts.awaitSent : Effect.zipRight(rest, receipts.awaitSent)
      }).pipe(
        spanned("sealwire.send", () => ({ kind: "producer", attributes: attributesOf(texts) }))
      )
    const sendRequest = requestSender(receipts, write)
    const request: MessageClient["request"] = (text) =>
      Effect.gen(function* () {
        yield* checkLengths([text])
        const [batch] = encodeMessages([text], { wantsReply: true })
        const reply = yield* Deferred.make<Uint8Array, NotTaken | ReplyLost | ChannelError>()
        yield* sendRequest(batch as Batch, (outcome) => Deferred.unsafeDone(reply, outcome))
        return yield* Deferred.await(reply)
      }).pipe(
        spanned("sealwire.request", () => ({ kind: "client", attributes: attributesOf([text]) }))
      )
    return {
      channel,
      send,
      request,
      // A failed write is reported by `ended`: messages before it may still be acknowledged.
      sendBatch: (batch) => Effect.catchAll(write(batch), () => Effect.never),
      onReceipt: (listener) => {
        receipts.onReceipt = listener
      },
      ended: receipts.ended
    }
  })

/**
 * Sends the elements of a stream as messages, and completes when the server has handled all of them.
 * Waits while the send buffer is full, and for no receipt before the end.
 *
 * @example
 * yield* Stream.run(Stream.map(lines, (line) => Buffer.from(line)), MessageClient.toSink(client))
 */
export const toSink = ({
  send,
  sendBatch,
  ended
}: Pick<MessageClient, "send" | "sendBatch" | "ended">): Sink.Sink<
  void,
  Uint8Array,
  never,
  MessageTooLong | NotTaken | ChannelError
> =>
  Sink.zipRight(
    Sink.forEachChunk((chunk: Chunk.Chunk<Uint8Array>) => {
      const texts = Chunk.toReadonlyArray(chunk)
      const writing = Effect.forEach(encodeMessages(texts), sendBatch, { discard: true })
      return Effect.zipRight(checkLengths(texts), Effect.raceFirst(writing, ended))
    }),
    // It waits for the receipts of everything that was sent before.
    Sink.fromEffect(Effect.suspend(() => send([])))
  )

/** Writes a batch after `count` has counted its messages. */
type WriteBatch = (batch: Batch, count?: () => void) => Effect.Effect<void, ChannelError>

/**
 * Returns a function that writes a request and completes when it is written. The request holds one
 * of `limits.pendingReplies` permits until `onReply` is called, even when nobody waits for the
 * reply.
 */
const requestSender = (receipts: ReceiptTracker, write: WriteBatch) => {
  const permits = Effect.unsafeMakeSemaphore(limits.pendingReplies)
  return (batch: Batch, onReply: OnReply): Effect.Effect<void> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(permits.take(1)), () => {
        let isCounted = false
        const count = () => {
          isCounted = true
          receipts.countSent(batch, (outcome) => {
            Effect.runSync(permits.release(1))
            onReply(outcome)
          })
        }
        // A failed write is reported by the receipts.
        return Effect.ensuring(
          Effect.ignore(restore(write(batch, count))),
          Effect.suspend(() => (isCounted ? Effect.void : permits.release(1)))
        )
      })
    )
}

/** Fails with MessageTooLong when a text exceeds the limit of a message. */
export const checkLengths = (
  texts: ReadonlyArray<Uint8Array>
): Effect.Effect<void, MessageTooLong> => Effect.suspend(() => tooLong(texts) ?? Effect.void)

const tooLong = (texts: ReadonlyArray<Uint8Array>): MessageTooLong | undefined => {
  const long = texts.find(({ length }) => length > messageLimits.messageBytes)
  return long === undefined
    ? undefined
    : new MessageTooLong({
        bytes: long.length,
        limit: messageLimits.messageBytes,
        detail: "send it as a file"
      })
}
