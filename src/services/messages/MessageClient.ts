// Sends messages over the channel and waits for their receipts.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Control, type Channel } from "../../channel/Channel.ts"
import {
  ChannelClosed,
  ChannelTampered,
  type ChannelError,
  type HandshakeFailed
} from "../../channel/ChannelErrors.ts"
import type { Transport } from "../../transports/Transport.ts"
import type { ConnectFailed } from "../../transports/TransportErrors.ts"
import { dial, type DialOptions } from "../Dial.ts"
import { MessageTooLong, type NotTaken, type ReplyLost } from "./MessageErrors.ts"
import { encode, limits as messageLimits, type Batch } from "./MessageFrame.ts"
import { ReceiptDecoder } from "./Receipt.ts"
import { ReceiptTracker, type Answer } from "./ReceiptTracker.ts"
import { opening } from "../Service.ts"
import { spanned } from "../Tracing.ts"

export { MessageTooLong, NotTaken, ReplyLost } from "./MessageErrors.ts"

/** Every bound of a client, by name. */
export const limits = {
  /** Messages of one session that ask for a reply and have none yet, whoever still waits for it; who asks for more waits. */
  requests: 64
} as const

/** A session in which messages are sent. */
export interface MessageClient {
  readonly channel: Channel
  /** Done when the server's handler is done with all of them. */
  readonly send: (
    texts: ReadonlyArray<Uint8Array>
  ) => Effect.Effect<void, MessageTooLong | NotTaken | ChannelError>
  /**
   * The server's reply, at most 1 MiB long; the message is handled with it. `limits.requests` go on at the same time. Its id is of this session:
   * one that fails with a lost connection may have been handled, and asking again is another message. Over several sessions: Delivery.
   */
  readonly request: (
    text: Uint8Array
  ) => Effect.Effect<Uint8Array, MessageTooLong | NotTaken | ReplyLost | ChannelError>
  /** For who hears the receipts itself: writes whole frames. Never done once the session is lost; that is told by `ended`. */
  readonly transmit: (piece: Batch) => Effect.Effect<void>
  /** Calls back with each receipt: so many messages of this session are handled; where the last of them asked for a reply, here it is, or it is lost. */
  readonly onHandled: (heard: (count: number, reply?: Uint8Array) => void) => void
  /** How the session ends; never, while it stands. */
  readonly ended: Effect.Effect<never, NotTaken | ChannelError>
}

/** A session that ends, in good order, with the scope. */
export const connect = <E, R>(
  options: DialOptions<E, R>
): Effect.Effect<MessageClient, ConnectFailed | HandshakeFailed | E, R | Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const channel = yield* dial(options, opening("message"))
    const receipts = new ReceiptTracker(channel.peer)
    yield* Effect.forkScoped(listen(channel, receipts))
    // Messages are counted in the order in which they are written.
    const writing = Effect.unsafeMakeSemaphore(1).withPermits(1)
    const write = (piece: Batch, counted = () => receipts.sending(piece)) =>
      writing(
        Effect.suspend(() => {
          counted()
          return channel.write(piece.bytes)
        })
      )
    const told = (texts: ReadonlyArray<Uint8Array>) => ({
      "sealwire.peer": channel.peer,
      "sealwire.messages": texts.length,
      "sealwire.bytes": texts.reduce((sum, { length }) => sum + length, 0)
    })
    const send = (
      texts: ReadonlyArray<Uint8Array>
    ): Effect.Effect<void, MessageTooLong | NotTaken | ChannelError> =>
      Effect.gen(function* () {
        yield* checkLengths(texts)
        for (const piece of encode(texts)) {
          // A loss is told by the receipts: what was written before it may have its receipt all the same.
          const written = yield* Effect.either(write(piece))
          if (written._tag === "Left") break
        }
        yield* receipts.reached(receipts.sent)
      }).pipe(spanned("sealwire.send", () => ({ kind: "producer", attributes: told(texts) })))
    const places = Effect.unsafeMakeSemaphore(limits.requests)
    /** Done when it is written; its place is its own until `answer` is told, whoever waits for that. */
    const asking = (piece: Batch, answer: Answer) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(places.take(1)), () => {
          let isCounted = false
          const counted = () => {
            isCounted = true
            receipts.sending(piece, (outcome) => {
              Effect.runSync(places.release(1))
              answer(outcome)
            })
          }
          // A loss is told by the receipts.
          return Effect.ensuring(
            Effect.ignore(restore(write(piece, counted))),
            Effect.suspend(() => (isCounted ? Effect.void : places.release(1)))
          )
        })
      )
    const request: MessageClient["request"] = (text) =>
      Effect.gen(function* () {
        yield* checkLengths([text])
        const [piece] = encode([text], { asks: true })
        const answer = yield* Deferred.make<Uint8Array, NotTaken | ReplyLost | ChannelError>()
        yield* asking(piece as Batch, (outcome) => Deferred.unsafeDone(answer, outcome))
        return yield* Deferred.await(answer)
      }).pipe(spanned("sealwire.request", () => ({ kind: "client", attributes: told([text]) })))
    return {
      channel,
      send,
      request,
      // A loss is told by `ended`: what was written before it may have its receipt all the same.
      transmit: (piece) => Effect.catchAll(write(piece), () => Effect.never),
      onHandled: (heard) => {
        receipts.onHandled = heard
      },
      ended: receipts.ended
    }
  })

/** No text is longer than a message may be. */
export const checkLengths = (
  texts: ReadonlyArray<Uint8Array>
): Effect.Effect<void, MessageTooLong> =>
  Effect.suspend(() => {
    const long = texts.find(({ length }) => length > messageLimits.messageBytes)
    return long === undefined
      ? Effect.void
      : new MessageTooLong({
          bytes: long.length,
          limit: messageLimits.messageBytes,
          detail: "larger is a file: a message has at most"
        })
  })

/** Hears receipts until the channel ends. */
const listen = (channel: Channel, receipts: ReceiptTracker): Effect.Effect<void> =>
  Effect.gen(function* () {
    const decoder = new ReceiptDecoder()
    const broken = (detail: string) =>
      receipts.fail(new ChannelTampered({ peer: channel.peer, detail }))
    for (;;) {
      const chunk = yield* channel.read
      if (chunk === undefined)
        return receipts.fail(
          new ChannelClosed({ peer: channel.peer, reason: "before the receipt" })
        )
      if (chunk instanceof Control) return broken("a control message where none belongs")
      const heard = decoder.push(chunk)
      if (heard === undefined) return broken("no receipt")
      if (!heard.every((receipt) => receipts.hear(receipt)))
        return broken("a receipt for what it cannot have handled")
    }
  }).pipe(
    Effect.catchAll((error) => Effect.sync(() => receipts.fail(error))),
    // Who still waits when the session's scope is over would wait for ever.
    Effect.onInterrupt(() =>
      Effect.sync(() =>
        receipts.fail(new ChannelClosed({ peer: "this side", reason: "its session is over" }))
      )
    )
  )
