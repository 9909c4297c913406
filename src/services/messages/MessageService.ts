// The server's side of messages: what comes -> handler -> receipt. MESSAGES.md.
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Channel from "../../channel/Channel.ts"
import { ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { Decoder, limits, type Message } from "./MessageFrame.ts"
import { encodeReceipt, type Receipt } from "./Receipt.ts"
import * as Metrics from "../Metrics.ts"
import { ReplyCache } from "./ReplyCache.ts"
import { RefusedByRules } from "../PeerSessions.ts"
import type { RemotePeer, Service, ServiceSession } from "../Service.ts"
import { spanned } from "../Tracing.ts"
import { peerOf } from "./MessageHandler.ts"

/** The handler could not take the message; it was not handled, and the client is told so. */
export class MessageRefused extends Data.TaggedError("MessageRefused")<{
  readonly reason: string
  /** True when it may be taken another time. */
  readonly retry?: boolean
  /** How many of the batch, from its first, are handled: they have their receipt, and it is the next one that is refused. Default: none. */
  readonly handled?: number
  /** True when it asked for a reply, and none is given here. */
  readonly noReplies?: boolean
}> {
  override get message(): string {
    return `the message was not taken: ${this.reason}`
  }
}

/** Called with what has come, in order, one batch at a time for each session; when it is done, the receipt goes back. */
export type Handle = (
  messages: ReadonlyArray<Message>,
  sender: RemotePeer
) => Effect.Effect<void, MessageRefused>

/** Called with a message that asks for a reply, one at a time for each session, in order with the others; at most `limits.replyBytes`. */
export type Answer = (
  message: Message,
  sender: RemotePeer
) => Effect.Effect<Uint8Array, MessageRefused>

/** What the service does besides. */
export interface ServiceOptions {
  /**
   * Called once for each message that asks: one that is sent again gets the reply that is kept (KeptReplies.ts). Without it, such messages
   * are refused.
   */
  readonly answer?: Answer | undefined
}

/** A service of Server that gives messages to `handle`, and those that ask for a reply to `answer`. */
export const service = (handle: Handle, { answer }: ServiceOptions = {}): Service => {
  const take = answer === undefined ? refuse : answering(answer)
  return { name: "message", run: (session) => receive(session, handle, take) }
}

/** What is said of a request that was handled: a reply, or that it is lost. */
type Answered = Omit<Receipt, "count">
type Take = (request: Message, sender: RemotePeer) => Effect.Effect<Answered, MessageRefused>

const refuse: Take = () =>
  new MessageRefused({ reason: "it asks for a reply, and none is given here", noReplies: true })

const answering = (answer: Answer): Take => {
  const kept = new ReplyCache()
  const bounded = (request: Message, sender: RemotePeer) =>
    Effect.filterOrFail(
      answer(request, sender),
      ({ length }) => length <= limits.replyBytes,
      ({ length }) =>
        new MessageRefused({
          reason: `its reply has ${length.toLocaleString("en-US")} bytes, and ${mostText} is the most`
        })
    )
  return (request, sender) =>
    Effect.map(
      kept.once(peerOf(sender), request, () => bounded(request, sender)),
      (text) => (text === undefined ? { status: "reply lost" } : { status: "reply", text })
    )
}

const mostText = limits.replyBytes.toLocaleString("en-US")

/** What is taken together: plain messages as many as lie next to each other, one that asks for a reply alone. */
const partsOf = (messages: ReadonlyArray<Message>): ReadonlyArray<ReadonlyArray<Message>> => {
  if (!messages.some(({ wantsReply }) => wantsReply)) return [messages]
  const parts: Array<Array<Message>> = []
  for (const message of messages) {
    const last = parts.at(-1)
    if (last === undefined || message.wantsReply || last[0]?.wantsReply === true)
      parts.push([message])
    else last.push(message)
  }
  return parts
}

const plain: Answered = { status: "handled" }

const statusOf = ({ retry, noReplies }: MessageRefused): Receipt["status"] => {
  if (noReplies === true) return "no replies"
  return retry === true ? "later" : "refused"
}

const receive = (
  { channel, connection, remote, counters, peerSession }: ServiceSession,
  handle: Handle,
  take: Take
): Effect.Effect<void, ChannelError | MessageRefused | RefusedByRules, Scope.Scope> =>
  Effect.gen(function* () {
    let [taken, bytes] = [0, 0]
    const decoder = new Decoder()
    yield* Effect.addFinalizer(() => Effect.sync(() => peerSession?.waste(decoder.held)))
    const broken = (detail: string) => new ChannelTampered({ peer: channel.peer, detail })
    // A server that stops takes what was begun, receipt included, and reads no further.
    const state = { stopping: false, hushed: false }
    yield* connection.draining.pipe(
      Effect.zipRight(
        Effect.suspend(() => {
          state.stopping = true
          return Effect.zipRight(
            channel.setCloseReason("GoingAway"),
            decoder.isEmpty ? channel.interruptRead : Effect.void
          )
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
      if (chunk instanceof Channel.Control)
        return yield* broken("a control message where none belongs")
      const messages = decoder.push(chunk)
      if (messages === undefined) return yield* broken("a message longer than any may be")
      const borne = peerSession?.bears(decoder.held) ?? true
      if (messages.length === 0 && borne) continue
      const allowed =
        peerSession === undefined
          ? messages
          : messages.slice(0, peerSession.allow(messages.map(({ bytes }) => bytes)))
      const limited = allowed.length < messages.length || !borne
      for (const part of allowed.length > 0 ? partsOf(allowed) : []) {
        const [first] = part as readonly [Message]
        const handling = first.wantsReply
          ? take(first, remote)
          : Effect.as(handle(part, remote), plain)
        const before = { taken, bytes }
        const handled = yield* Effect.either(
          spanned(first.wantsReply ? "sealwire.reply" : "sealwire.handle", () => ({
            kind: first.wantsReply ? "server" : "consumer",
            trace: "own",
            attributes: {
              "sealwire.peer": remote.peer,
              "sealwire.messages": part.length,
              "sealwire.bytes": part.reduce((sum, { bytes }) => sum + bytes, 0)
            }
          }))(handling)
        )
        for (const message of handled._tag === "Right"
          ? part
          : part.slice(0, handled.left.handled ?? 0)) {
          taken++
          bytes += message.bytes
        }
        counters.messages = taken
        counters.bytes = bytes
        Metrics.add("messages", taken - before.taken)
        Metrics.add("messageBytes", bytes - before.bytes)
        if (handled._tag === "Left") {
          yield* channel.write(encodeReceipt({ status: statusOf(handled.left), count: taken }))
          return yield* handled.left
        }
        yield* channel.write(encodeReceipt({ ...handled.right, count: taken }))
      }
      if (limited) {
        yield* channel.write(encodeReceipt({ status: "limited", count: taken }))
        return yield* new RefusedByRules({
          peer: channel.peer,
          reason: "it sends more in a minute than its rules allow"
        })
      }
    }
    if (!decoder.isEmpty) return yield* broken("a FIN inside a message")
    // One that stops has not said all: its close says why.
    if (!state.stopping) yield* channel.end
  })
