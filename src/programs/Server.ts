// Receives messages over the channel: accept -> handshake -> messages -> handler -> receipt.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import { ChannelTampered, type ChannelError, type HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/Handshake.ts"
import type { Padding } from "../channel/Padding.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import type { ListenFailed, PortInUse } from "../transports/TransportErrors.ts"
import { application, Decoder, encodeReceipt, type Message } from "./MessageFrame.ts"

/** Who sent a message: what the handshake proved. */
export interface Sender {
  /** The name its key has in authorized_peers; where it is, when all share one key. */
  readonly peer: string
  readonly from: string
  readonly publicKey: Uint8Array | undefined
  readonly suite: string
}

/** The handler could not take the message; it was not handled, and the client is told so. */
export class MessageRefused extends Data.TaggedError("MessageRefused")<{ readonly reason: string }> {
  override get message(): string {
    return `the message was not taken: ${this.reason}`
  }
}

export type ServerEvent = Data.TaggedEnum<{
  Listening: { readonly address: Address }
  SessionStarted: { readonly sender: Sender }
  SessionEnded: { readonly sender: Sender; readonly messages: number; readonly error: ChannelError | MessageRefused | undefined }
  Stranger: { readonly from: string; readonly reason: string }
}>
export const ServerEvent = Data.taggedEnum<ServerEvent>()

export interface ServeOptions {
  readonly address: Address
  readonly keys: Omit<ServerKeys, "application">
  readonly padding?: Padding
  /** Called with what has come, in order, one batch at a time for each session; when it is done, the receipt goes back. */
  readonly handle: (messages: ReadonlyArray<Message>, sender: Sender) => Effect.Effect<void, MessageRefused>
  /** Told of everything that happens, from many sessions at once. */
  readonly on: (event: ServerEvent) => Effect.Effect<void>
}

/** Serves until interrupted; then finishes what is in flight, within the drain deadline. */
export const serve = (options: ServeOptions): Effect.Effect<never, PortInUse | ListenFailed, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const listener = yield* transport.listen(options.address, (connection) => serveConnection(connection, options), {
      halfOpen: channelLimits.halfOpen,
      halfOpenPerSource: channelLimits.halfOpenPerSource
    })
    yield* options.on(ServerEvent.Listening({ address: listener.address }))
    return yield* Effect.never
  }).pipe(Effect.scoped)

const serveConnection = (connection: Accepted, { keys, padding, handle, on }: ServeOptions) =>
  Effect.gen(function* () {
    const channel = yield* Channel.accept(connection, { ...keys, application }, padding === undefined ? {} : { padding })
    const { peer, from, publicKey, suite } = channel
    const sender: Sender = { peer, from, publicKey, suite }
    yield* on(ServerEvent.SessionStarted({ sender }))
    const counted = { messages: 0 }
    yield* Effect.matchEffect(receiveMessages(channel, connection, sender, handle, counted), {
      onSuccess: () => on(ServerEvent.SessionEnded({ sender, messages: counted.messages, error: undefined })),
      onFailure: (error) =>
        Effect.zipRight(
          on(ServerEvent.SessionEnded({ sender, messages: counted.messages, error })),
          // Who breaks the protocol gets no orderly end.
          error._tag === "ChannelTampered" ? connection.abort : Effect.void
        )
    })
  }).pipe(
    Effect.catchTag("HandshakeFailed", ({ reason }: HandshakeFailed) =>
      on(ServerEvent.Stranger({ from: connection.peer, reason }))
    )
  )

const receiveMessages = (
  channel: Channel.Channel,
  connection: Accepted,
  sender: Sender,
  handle: ServeOptions["handle"],
  counted: { messages: number }
): Effect.Effect<void, ChannelError | MessageRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const decoder = new Decoder()
    const broken = (detail: string) => new ChannelTampered({ peer: channel.peer, detail })
    // A server that stops takes what was begun, receipt included, and reads no further.
    const state = { stopping: false, hushed: false }
    yield* connection.draining.pipe(
      Effect.zipRight(
        Effect.suspend(() => {
          state.stopping = true
          return decoder.isEmpty ? channel.quiet : Effect.void
        })
      ),
      Effect.forkScoped
    )
    while (!state.stopping || !decoder.isEmpty) {
      const chunk = yield* channel.read
      if (chunk === undefined) {
        // The stop met the beginning of a message: that one is taken to its end.
        if (!state.stopping || state.hushed || decoder.isEmpty) break
        state.hushed = true
        continue
      }
      if (chunk instanceof Channel.Control) return yield* broken("a control message where none belongs")
      const messages = decoder.push(chunk)
      if (messages === undefined) return yield* broken("a message longer than any may be")
      if (messages.length === 0) continue
      const handled = yield* Effect.either(handle(messages, sender))
      if (handled._tag === "Left") {
        yield* channel.write(encodeReceipt({ status: "refused", count: counted.messages }))
        yield* channel.end
        return yield* handled.left
      }
      counted.messages += messages.length
      yield* channel.write(encodeReceipt({ status: "handled", count: counted.messages }))
    }
    if (!decoder.isEmpty) return yield* broken("a FIN inside a message")
    yield* channel.end
  })
