// Sends messages over the channel and waits for their receipts.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Control, type Channel } from "../channel/Channel.ts"
import { ChannelClosed, ChannelTampered, type ChannelError, type HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import { MessageTooLong } from "./Classic.ts"
import { dial, type DialOptions } from "./Dial.ts"
import type { NotTaken, ReplyLost } from "./MessageErrors.ts"
import { encode, limits, type Piece } from "./MessageFrame.ts"
import { ReceiptDecoder } from "./Receipt.ts"
import { Receipts } from "./Receipts.ts"
import { opening } from "./Service.ts"
import { spanned } from "./Spans.ts"

export { NotTaken, ReplyLost } from "./MessageErrors.ts"

/** A session in which messages are sent. */
export interface Client {
  readonly channel: Channel
  /** Done when the server's handler is done with all of them. */
  readonly send: (texts: ReadonlyArray<Uint8Array>) => Effect.Effect<void, MessageTooLong | NotTaken | ChannelError>
  /** The server's reply, at most `limits.replyBytes` long; the message is handled with it. Several may wait at the same time. */
  readonly request: (text: Uint8Array) => Effect.Effect<Uint8Array, MessageTooLong | NotTaken | ReplyLost | ChannelError>
  /** For who hears the receipts itself: writes whole frames. Never done once the session is lost; that is told by `ended`. */
  readonly transmit: (piece: Piece) => Effect.Effect<void>
  /** Calls back with each receipt: so many messages of this session are handled; where the last of them asked for a reply, here it is, or it is lost. */
  readonly onHandled: (heard: (count: number, reply?: Uint8Array) => void) => void
  /** How the session ends; never, while it stands. */
  readonly ended: Effect.Effect<never, NotTaken | ChannelError>
}

/** A session that ends, in good order, with the scope. */
export const connect = <E, R>(
  options: DialOptions<E, R>
): Effect.Effect<Client, ConnectFailed | HandshakeFailed | E, R | Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const channel = yield* dial(options, opening("message"))
    const receipts = new Receipts(channel.peer)
    yield* Effect.forkScoped(listen(channel, receipts))
    // Messages are counted in the order in which they are written.
    const writing = Effect.unsafeMakeSemaphore(1).withPermits(1)
    const write = (piece: Piece, answer?: Parameters<Receipts["sending"]>[1]) =>
      writing(
        Effect.suspend(() => {
          receipts.sending(piece, answer)
          return channel.write(piece.bytes)
        })
      )
    const told = (texts: ReadonlyArray<Uint8Array>) => ({
      "sealwire.peer": channel.peer,
      "sealwire.messages": texts.length,
      "sealwire.bytes": texts.reduce((sum, { length }) => sum + length, 0)
    })
    const send = (texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, MessageTooLong | NotTaken | ChannelError> =>
      Effect.gen(function* () {
        yield* checkLengths(texts)
        for (const piece of encode(texts)) {
          // A loss is told by the receipts: what was written before it may have its receipt all the same.
          const written = yield* Effect.either(write(piece))
          if (written._tag === "Left") break
        }
        yield* receipts.reached(receipts.sent)
      }).pipe(spanned("sealwire.send", () => ({ kind: "producer", attributes: told(texts) })))
    const request: Client["request"] = (text) =>
      Effect.gen(function* () {
        yield* checkLengths([text])
        const answer = yield* Deferred.make<Uint8Array, NotTaken | ReplyLost | ChannelError>()
        // Whoever waits no longer leaves no message behind that is counted and not written. A loss is told by the receipts.
        const written = Effect.forEach(encode([text], { asks: true }), (piece) => write(piece, answer), { discard: true })
        yield* Effect.disconnect(Effect.uninterruptible(Effect.ignore(written)))
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
export const checkLengths = (texts: ReadonlyArray<Uint8Array>): Effect.Effect<void, MessageTooLong> =>
  Effect.suspend(() => {
    const long = texts.find(({ length }) => length > limits.messageBytes)
    return long === undefined
      ? Effect.void
      : new MessageTooLong({ bytes: long.length, limit: limits.messageBytes, detail: "larger is a file: a message has at most" })
  })

/** Hears receipts until the channel ends. */
const listen = (channel: Channel, receipts: Receipts): Effect.Effect<void> =>
  Effect.gen(function* () {
    const decoder = new ReceiptDecoder()
    const broken = (detail: string) => receipts.fail(new ChannelTampered({ peer: channel.peer, detail }))
    for (;;) {
      const chunk = yield* channel.read
      if (chunk === undefined) return receipts.fail(new ChannelClosed({ peer: channel.peer, reason: "before the receipt" }))
      if (chunk instanceof Control) return broken("a control message where none belongs")
      const heard = decoder.push(chunk)
      if (heard === undefined) return broken("no receipt")
      if (!heard.every((receipt) => receipts.hear(receipt))) return broken("a receipt for what it cannot have handled")
    }
  }).pipe(Effect.catchAll((error) => Effect.sync(() => receipts.fail(error))))
