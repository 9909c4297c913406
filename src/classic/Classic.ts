// The classic system, compatible with the original C++ pair: a connection carries one encrypted
// message, which ends with the client's end of stream. The server sends nothing.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Cipher } from "./Cipher.ts"
import { MessageTooLong } from "../services/messages/MessageErrors.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Address } from "../transports/Address.ts"
import { Transport } from "../transports/Transport.ts"
import type {
  ConnectFailed,
  ConnectionLost,
  ListenFailed,
  PortInUse
} from "../transports/TransportErrors.ts"

/** The limits of the classic system. */
export const limits = {
  /** Maximum length of an encrypted message, in bytes. */
  messageBytes: 8 * 1024 * 1024,
  /** Maximum memory for the messages of all connections; above it the largest is evicted. */
  heldBytes: 64 * 1024 * 1024,
  /** Time from accepting a connection to its first byte. */
  firstByteDeadline: "10 seconds",
  /** Time from accepting a connection to the end of its message. */
  messageDeadline: "60 seconds",
  /** Time that the client waits for the server to close, so that it notices a reset. */
  lingerDeadline: "1 second"
} as const

/** Why a connection brought no message. Logged, and never sent to the peer. */
export type RefusalReason =
  | "does not open"
  | "too long"
  | "nothing sent"
  | "cut off"
  | "too slow"
  | "crowded out"

/** An event of a classic server. */
export type ClassicServerEvent = Data.TaggedEnum<{
  Listening: { readonly address: Address }
  Message: { readonly peer: string; readonly text: Uint8Array; readonly wire: Uint8Array }
  Refused: { readonly peer: string; readonly reason: RefusalReason; readonly bytes: number }
}>
/** The constructors and `$match`. */
export const ClassicServerEvent: Data.TaggedEnum.Constructor<ClassicServerEvent> =
  Data.taggedEnum<ClassicServerEvent>()

/** Options of a classic server. */
export interface ServeOptions {
  readonly address: Address
  /** Return after the first message that decrypts, as the original server did. */
  readonly once: boolean
  /** Called for every event, concurrently for many connections. */
  readonly onEvent: (event: ClassicServerEvent) => Effect.Effect<void>
}

/**
 * Receives messages until it is interrupted, or until the first one with `once`. Failed decryption
 * is reported to `onEvent` and never to the peer: the server ends its stream at the end of the
 * message, before it decrypts, so that a valid and an invalid message look alike from outside.
 */
export const serve = ({
  address,
  once,
  onEvent
}: ServeOptions): Effect.Effect<void, PortInUse | ListenFailed, Transport | Cipher> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const cipher = yield* Cipher
    const claimed = yield* Deferred.make<void>()
    const delivered = yield* Deferred.make<void>()
    const budget = new MemoryBudget()

    const handle = (connection: Accepted) =>
      Effect.gen(function* () {
        const { peer } = connection
        const wire = yield* receive(connection, budget)
        yield* Effect.ignore(connection.end)
        const text = yield* Effect.catchTag(
          cipher.decrypt(wire),
          "DecryptFailed",
          () => new Refused("does not open", wire.length)
        )
        // With `once`, only the first of concurrent messages is delivered; the others are aborted.
        if (once && (yield* Deferred.succeed(claimed, undefined)) === false)
          return yield* connection.abort
        yield* onEvent(ClassicServerEvent.Message({ peer, text, wire }))
        yield* Deferred.succeed(delivered, undefined)
      }).pipe(
        Effect.catchTags({
          Refused: ({ reason, bytes }) =>
            onEvent(ClassicServerEvent.Refused({ peer: connection.peer, reason, bytes })),
          Drained: () => Effect.void
        })
      )

    // With `once`, other connections are not waited for after the message is delivered.
    const abortAfterDelivery = (connection: Accepted) =>
      Effect.zipRight(Deferred.await(delivered), Effect.delay(connection.abort, "100 millis"))
    const handler = once
      ? (connection: Accepted) =>
          Effect.raceFirst(handle(connection), abortAfterDelivery(connection))
      : handle
    const listener = yield* transport.listen(address, handler)
    yield* onEvent(ClassicServerEvent.Listening({ address: listener.address }))
    yield* once ? Deferred.await(delivered) : Effect.never
  }).pipe(Effect.scoped)

/** Ends a connection without a message. Internal to this file. */
class Refused extends Data.TaggedError("Refused")<{
  readonly reason: RefusalReason
  readonly bytes: number
}> {
  constructor(reason: RefusalReason, bytes: number) {
    super({ reason, bytes })
  }
}

/** The server stops before the connection has sent a byte. Internal to this file. */
class Drained extends Data.TaggedError("Drained") {}

/** Reads a connection to the end of its stream, within every limit. */
const receive = (
  connection: Accepted,
  budget: MemoryBudget
): Effect.Effect<Uint8Array, Refused | Drained, Scope.Scope> =>
  Effect.gen(function* () {
    const evicted = yield* Deferred.make<never, Refused>()
    const share = yield* Effect.acquireRelease(
      Effect.sync(() =>
        budget.open((bytes) => Deferred.unsafeDone(evicted, new Refused("crowded out", bytes)))
      ),
      (share) => Effect.sync(() => budget.close(share))
    )
    const chunks: Array<Uint8Array> = []
    const next = Effect.mapError(connection.read, () => new Refused("cut off", share.bytes))
    const first = Effect.timeoutFail(next, {
      duration: limits.firstByteDeadline,
      onTimeout: () => new Refused("nothing sent", 0)
    })
    const drained = Effect.flatMap(connection.draining, () => new Drained())

    const all = Effect.gen(function* () {
      let chunk = yield* Effect.raceFirst(first, drained)
      if (chunk === undefined) return yield* new Refused("nothing sent", 0)
      connection.markResponsive()
      while (chunk !== undefined) {
        chunks.push(chunk)
        budget.add(share, chunk.length)
        if (share.bytes > limits.messageBytes) return yield* new Refused("too long", share.bytes)
        chunk = yield* next
      }
      // A finished message counts until it is delivered, but is not evicted any more.
      share.finished = true
      return Buffer.concat(chunks.splice(0))
    })
    return yield* all.pipe(
      Effect.raceFirst(Deferred.await(evicted)),
      Effect.timeoutFail({
        duration: limits.messageDeadline,
        onTimeout: () => new Refused("too slow", share.bytes)
      })
    )
  })

/** The memory of one connection's message. */
interface Share {
  bytes: number
  finished: boolean
  readonly evict: (bytes: number) => void
}

/**
 * Bounds the memory of all messages until they are delivered. Above the limit the largest
 * unfinished message is evicted, so that small ones still arrive. When delivery is blocked and all
 * others are finished, that is the message that just grew.
 */
class MemoryBudget {
  readonly #shares = new Set<Share>()
  #total = 0

  open(evict: (bytes: number) => void): Share {
    const share = { bytes: 0, finished: false, evict }
    this.#shares.add(share)
    return share
  }

  add(share: Share, bytes: number): void {
    share.bytes += bytes
    this.#total += bytes
    if (this.#total <= limits.heldBytes) return
    const unfinished = [...this.#shares].filter(({ finished }) => !finished)
    const largest = unfinished.reduce(
      (largestYet, other) => (other.bytes > largestYet.bytes ? other : largestYet),
      share
    )
    this.close(largest)
    largest.evict(largest.bytes)
  }

  close(share: Share): void {
    if (this.#shares.delete(share)) this.#total -= share.bytes
  }
}

/** Options of sending a classic message. */
export interface SendOptions {
  readonly address: Address
  readonly text: Uint8Array
  /** Send more than the original server can receive, which makes a single read. */
  readonly anyLength: boolean
}

/**
 * Sends one message and returns the bytes sent. The classic system has no receipt: success means
 * that the bytes were handed to the transport, and no more.
 */
export const send = ({
  address,
  text,
  anyLength
}: SendOptions): Effect.Effect<
  { readonly wire: Uint8Array },
  MessageTooLong | ConnectFailed | ConnectionLost,
  Transport | Cipher
> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const cipher = yield* Cipher
    const { originLimit } = cipher.kind
    if (originLimit !== undefined && !anyLength && text.length > originLimit) {
      const detail = "the original C++ server cannot read it"
      const hint = "Sealwire's own server accepts more"
      return yield* new MessageTooLong({ bytes: text.length, limit: originLimit, detail, hint })
    }
    const wire = yield* cipher.encrypt(text)
    if (wire.length > limits.messageBytes)
      return yield* new MessageTooLong({
        bytes: wire.length,
        limit: limits.messageBytes
      })

    const connection = yield* transport.connect(address)
    yield* connection.write(wire)
    yield* connection.end
    yield* Effect.timeoutOption(untilEnd(connection.read), limits.lingerDeadline)
    return { wire }
  }).pipe(Effect.scoped)

/** Reads to the end of the stream and ignores the bytes: nothing the server sends is authentic. */
const untilEnd = (
  read: Effect.Effect<Uint8Array | undefined, ConnectionLost>
): Effect.Effect<void, ConnectionLost> =>
  Effect.flatMap(read, (chunk) => (chunk === undefined ? Effect.void : untilEnd(read)))
