// Sends messages over the channel and waits for their receipts.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as Channel from "../channel/Channel.ts"
import { ChannelClosed, ChannelTampered, type ChannelError, type HandshakeFailed } from "../channel/ChannelErrors.ts"
import type { ClientKeys } from "../channel/Handshake.ts"
import type { Padding } from "../channel/Padding.ts"
import type { Address } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailed } from "../transports/TransportErrors.ts"
import * as Announcement from "./Announcement.ts"
import { MessageTooLong } from "./Classic.ts"
import { application, encode, limits, ReceiptDecoder, type Piece, type Receipt } from "./MessageFrame.ts"

/** The server could not take the message, and said so: it was not handled. */
export class NotTaken extends Data.TaggedError("NotTaken")<{
  readonly server: string
  readonly handled: number
  readonly status: Exclude<Receipt["status"], "handled">
}> {
  override get message(): string {
    return `${this.server} refused the message${reasons[this.status]}; ${this.handled} before it were handled`
  }
}

const reasons: Readonly<Record<NotTaken["status"], string>> = {
  refused: "",
  limited: " (its rules allow our key no more in a minute; try again later)",
  later: " (it cannot take any now: it was not stored; try again later)"
}

export interface ConnectOptions<E, R> {
  readonly address: Address
  readonly keys: Omit<ClientKeys, "application">
  readonly padding?: Padding
  /** Sees the key that an unpinned server offers, before the client shows its own. */
  readonly checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /** Sees the key of a server that was not pinned once it has proven that it holds every key: the moment to remember it. */
  readonly onProven?: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
  /** Told all public keys of a server that has several; no receipt is heard before it is done. */
  readonly onServerKeys?: OnServerKeys
}

/** The keys that a server says it has, the current one first, and the one among them that it has shown. */
export type OnServerKeys = (keys: ReadonlyArray<Announcement.ServerKey>, shown: Uint8Array) => Effect.Effect<void>

/** A session in which messages are sent. */
export interface Client {
  readonly channel: Channel.Channel
  /** Done when the server's handler is done with all of them. */
  readonly send: (texts: ReadonlyArray<Uint8Array>) => Effect.Effect<void, MessageTooLong | NotTaken | ChannelError>
  /** For who hears the receipts itself: writes whole frames. Never done once the session is lost; that is told by `ended`. */
  readonly transmit: (piece: Piece) => Effect.Effect<void>
  /** Calls back with each receipt: so many messages of this session are handled. */
  readonly onHandled: (heard: (count: number) => void) => void
  /** How the session ends; never, while it stands. */
  readonly ended: Effect.Effect<never, NotTaken | ChannelError>
}

/** A session that ends, in good order, with the scope. */
export const connect = <E, R>({
  address,
  keys,
  padding,
  checkServer,
  onProven,
  onServerKeys = () => Effect.void
}: ConnectOptions<E, R>): Effect.Effect<Client, ConnectFailed | HandshakeFailed | E, R | Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(address)
    const channel = yield* Channel.connect(
      connection,
      { ...keys, application },
      checkServer,
      padding === undefined ? {} : { padding }
    )
    if (onProven !== undefined && keys.serverKey === undefined && channel.publicKey !== undefined) {
      yield* channel.ready
      yield* onProven(channel.publicKey)
    }
    const receipts = new Receipts(channel.peer)
    yield* Effect.forkScoped(listen(channel, receipts, onServerKeys))
    const write = ({ bytes, count }: Piece) =>
      Effect.suspend(() => {
        receipts.sent += count
        return channel.write(bytes)
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
      })
    return {
      channel,
      send,
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

/** Hears what keys the server has, where it says so, and then receipts, until the channel ends. */
const listen = (channel: Channel.Channel, receipts: Receipts, onServerKeys: OnServerKeys): Effect.Effect<void> =>
  Effect.gen(function* () {
    const decoder = new ReceiptDecoder()
    for (let first = true; ; first = false) {
      const chunk = yield* channel.read
      if (chunk === undefined) return receipts.fail(new ChannelClosed({ peer: channel.peer, reason: "before the receipt" }))
      if (chunk instanceof Channel.Control) {
        const told = first ? announced(channel, chunk, onServerKeys) : undefined
        if (told === undefined)
          return receipts.fail(new ChannelTampered({ peer: channel.peer, detail: "no announcement of keys" }))
        yield* told
        continue
      }
      const heard = decoder.push(chunk)
      if (heard === undefined) return receipts.fail(new ChannelTampered({ peer: channel.peer, detail: "no receipt" }))
      if (!heard.every((receipt) => receipts.hear(receipt)))
        return receipts.fail(new ChannelTampered({ peer: channel.peer, detail: "a receipt for what it cannot have handled" }))
    }
  }).pipe(Effect.catchAll((error) => Effect.sync(() => receipts.fail(error))))

/** Undefined where it is none: the key that the server has shown must be among those it says it has. */
const announced = ({ publicKey }: Channel.Channel, { body }: Channel.Control, onServerKeys: OnServerKeys) => {
  const keys = Announcement.decode(body)
  return publicKey !== undefined && keys?.some((key) => Buffer.compare(key.publicKey, publicKey) === 0) === true
    ? onServerKeys(keys, publicKey)
    : undefined
}

type Outcome = Deferred.Deferred<void, NotTaken | ChannelError>

/** How far the server has come, and who waits for it. */
class Receipts {
  readonly #server: string
  /** Messages that were written, or are being written. */
  sent = 0
  #handled = 0
  #over: NotTaken | ChannelError | undefined
  readonly #waiting = new Map<Outcome, number>()
  readonly #ended = Deferred.unsafeMake<never, NotTaken | ChannelError>(FiberId.none)
  onHandled: (count: number) => void = () => {}

  constructor(server: string) {
    this.#server = server
  }

  /** Done when the first `count` messages are handled. */
  reached(count: number): Effect.Effect<void, NotTaken | ChannelError> {
    return Effect.suspend(() => {
      if (count <= this.#handled) return Effect.void
      if (this.#over !== undefined) return this.#over
      return Effect.flatMap(Deferred.make<void, NotTaken | ChannelError>(), (outcome) => {
        this.#waiting.set(outcome, count)
        return Deferred.await(outcome)
      })
    })
  }

  get ended(): Effect.Effect<never, NotTaken | ChannelError> {
    return Deferred.await(this.#ended)
  }

  /** False when no server that keeps to the protocol says this: counts never go back, and never exceed what was sent. */
  hear({ status, count }: Receipt): boolean {
    if (this.#over !== undefined || count < this.#handled || count > this.sent) return false
    this.#handled = count
    this.onHandled(count)
    for (const [outcome, wanted] of this.#waiting)
      if (wanted <= count) {
        this.#waiting.delete(outcome)
        Deferred.unsafeDone(outcome, Effect.void)
      }
    if (status !== "handled") this.fail(new NotTaken({ server: this.#server, handled: count, status }))
    return true
  }

  fail(error: NotTaken | ChannelError): void {
    this.#over ??= error
    Deferred.unsafeDone(this.#ended, this.#over)
    for (const outcome of this.#waiting.keys()) Deferred.unsafeDone(outcome, this.#over)
    this.#waiting.clear()
  }
}

/** Ends a probe: the key was seen. */
class Seen extends Data.TaggedError("Seen")<{ readonly publicKey: Uint8Array }> {}

/** The public key that the server shows to anybody who asks; this side shows nothing of its own. For suites that do not pin. */
export const probe = ({
  address,
  keys
}: Pick<ConnectOptions<never, never>, "address" | "keys">): Effect.Effect<
  Uint8Array | undefined,
  ConnectFailed | HandshakeFailed,
  Transport
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const connection = yield* transport.connect(address)
    yield* Channel.connect(connection, { ...keys, application }, (publicKey) => new Seen({ publicKey }))
    return undefined
  }).pipe(
    Effect.scoped,
    Effect.catchTag("Seen", ({ publicKey }) => Effect.succeed(publicKey))
  )
