// Receives messages over the channel: accept -> handshake -> messages -> handler -> receipt.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import { ChannelTampered, type ChannelError, type HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { ServerKeys } from "../channel/Handshake.ts"
import type { KeyPair } from "../keys/KeyPair.ts"
import type { Padding } from "../channel/Padding.ts"
import { limits as channelLimits } from "../channel/limits.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Alarms } from "../transports/Alarms.ts"
import { Transport } from "../transports/Transport.ts"
import type { ListenFailed, PortInUse } from "../transports/TransportErrors.ts"
import * as Announcement from "./Announcement.ts"
import { Expelled, RefusedByRules, type Roster, type Seat } from "./Roster.ts"
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
export class MessageRefused extends Data.TaggedError("MessageRefused")<{
  readonly reason: string
  /** True when it may be taken another time. */
  readonly retry?: boolean
}> {
  override get message(): string {
    return `the message was not taken: ${this.reason}`
  }
}

/** How a session may end before all was said. */
export type SessionError = ChannelError | MessageRefused | Expelled | RefusedByRules

export type ServerEvent = Data.TaggedEnum<{
  Listening: { readonly address: Address; readonly halfOpen: () => number }
  SessionStarted: { readonly sender: Sender }
  SessionEnded: { readonly sender: Sender; readonly messages: number; readonly error: SessionError | undefined }
  Stranger: { readonly from: string; readonly reason: string }
}>
export const ServerEvent = Data.taggedEnum<ServerEvent>()

/** A long-term key of this server. */
export interface Identity extends KeyPair {
  /** The moment from which on it opens no more, in milliseconds since 1970. */
  readonly retires?: number
}

export interface Keys extends Omit<ServerKeys, "application" | "identities"> {
  /** The current one, the next, those that retire; of several, clients are told. At most `limits.identities` of the channel. */
  readonly identities?: ReadonlyArray<Identity>
}

export interface ServeOptions {
  readonly address: Address
  readonly keys: Keys
  readonly padding?: Padding
  /** Who may come in and how much each may send, while it may change; without it, whom `keys` lets in may send at will. */
  readonly roster?: Roster
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
    yield* options.on(ServerEvent.Listening(listener))
    return yield* Effect.never
  }).pipe(Effect.scoped)

const serveConnection = (connection: Accepted, { keys, padding, roster, handle, on }: ServeOptions) =>
  Effect.gen(function* () {
    const alarms = yield* Alarms.here
    const standing = () => (keys.identities ?? []).filter(({ retires = Infinity }) => alarms.now < retires)
    const held: ServerKeys = {
      ...keys,
      application,
      // Asked for when message 1 is there: a key that retires in between does not open it.
      get identities() {
        return standing()
      }
    }
    const channel = yield* Channel.accept(connection, held, padding === undefined ? {} : { padding })
    const { peer, from, publicKey, suite } = channel
    const sender: Sender = { peer, from, publicKey, suite }
    yield* on(ServerEvent.SessionStarted({ sender }))
    const counted = { messages: 0 }
    yield* Effect.matchEffect(
      seated(channel, connection, roster, (seat) =>
        Effect.zipRight(announce(channel, standing()), receiveMessages({ channel, connection, sender, handle, counted, seat }))
      ),
      {
        onSuccess: () => on(ServerEvent.SessionEnded({ sender, messages: counted.messages, error: undefined })),
        onFailure: (error) =>
          Effect.zipRight(
            on(ServerEvent.SessionEnded({ sender, messages: counted.messages, error })),
            Effect.suspend(() => {
              const why = closings[error._tag]
              // Who breaks the protocol gets no orderly end.
              if (error._tag === "ChannelTampered") return connection.abort
              return why === undefined ? Effect.void : channel.closing(why)
            })
          )
      }
    )
  }).pipe(
    Effect.catchTag("HandshakeFailed", ({ reason }: HandshakeFailed) =>
      on(ServerEvent.Stranger({ from: connection.peer, reason }))
    )
  )

/** What the close says after an error of ours. */
const closings: Partial<Record<SessionError["_tag"], "Failed" | "Refused">> = {
  MessageRefused: "Failed",
  RefusedByRules: "Refused"
}

/** What a peer does while it has its seat. One that is put out is cut off: its reading fails, for the reason it was put out. */
const seated = (
  { publicKey, from }: Channel.Channel,
  connection: Accepted,
  roster: Roster | undefined,
  use: (seat: Seat | undefined) => Effect.Effect<void, SessionError, Scope.Scope>
): Effect.Effect<void, SessionError, Scope.Scope> =>
  Effect.suspend(() => {
    if (roster === undefined || publicKey === undefined) return use(undefined)
    const seat = roster.enter(publicKey, from, connection.flow.reset)
    if (seat instanceof RefusedByRules) return Effect.fail(seat)
    return use(seat).pipe(
      Effect.mapError((error) => seat.expelled() ?? error),
      Effect.ensuring(Effect.sync(seat.leave))
    )
  })

/** A client that knows one of several keys is told of all: the channel itself says that they are this server's. */
const announce = (channel: Channel.Channel, keys: ReadonlyArray<Identity>): Effect.Effect<void, ChannelError> =>
  channel.publicKey === undefined || keys.length < 2 ? Effect.void : channel.control(Announcement.encode(keys))

interface Reception {
  readonly channel: Channel.Channel
  readonly connection: Accepted
  readonly sender: Sender
  readonly handle: ServeOptions["handle"]
  readonly counted: { messages: number }
  readonly seat: Seat | undefined
}

const receiveMessages = ({
  channel,
  connection,
  sender,
  handle,
  counted,
  seat
}: Reception): Effect.Effect<void, SessionError, Scope.Scope> =>
  Effect.gen(function* () {
    const decoder = new Decoder()
    yield* Effect.addFinalizer(() => Effect.sync(() => seat?.waste(decoder.held)))
    const broken = (detail: string) => new ChannelTampered({ peer: channel.peer, detail })
    // A server that stops takes what was begun, receipt included, and reads no further.
    const state = { stopping: false, hushed: false }
    yield* connection.draining.pipe(
      Effect.zipRight(
        Effect.suspend(() => {
          state.stopping = true
          return Effect.zipRight(channel.closing("Leaving"), decoder.isEmpty ? channel.quiet : Effect.void)
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
      const borne = seat?.bears(decoder.held) ?? true
      if (messages.length === 0 && borne) continue
      const allowed = seat === undefined ? messages : messages.slice(0, seat.allow(messages.map(({ bytes }) => bytes)))
      if (allowed.length > 0) {
        const handled = yield* Effect.either(handle(allowed, sender))
        if (handled._tag === "Left") {
          const status = handled.left.retry === true ? "later" : "refused"
          yield* channel.write(encodeReceipt({ status, count: counted.messages }))
          return yield* handled.left
        }
        counted.messages += allowed.length
      }
      const limited = allowed.length < messages.length || !borne
      yield* channel.write(encodeReceipt({ status: limited ? "limited" : "handled", count: counted.messages }))
      if (limited)
        return yield* new RefusedByRules({ peer: channel.peer, reason: "it sends more in a minute than its rules allow" })
    }
    if (!decoder.isEmpty) return yield* broken("a FIN inside a message")
    // One that stops has not said all: its close says why.
    if (!state.stopping) yield* channel.end
  })
