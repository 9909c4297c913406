// The origin's system: one connection carries one sealed message to its end. DESIGN section 5.
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

/** Every bound of the classic system, by name. */
export const limits = {
  /** The longest message taken or sent, in bytes on the wire. */
  messageBytes: 8 * 1024 * 1024,
  /** What all connections together may have sent without being done; above it the one that holds most goes. */
  heldBytes: 64 * 1024 * 1024,
  /** From accepting to the first byte. */
  firstByteDeadline: "10 seconds",
  /** From accepting to the end of the message. */
  messageDeadline: "60 seconds",
  /** How long the client waits for the server to close, to hear of a reset. */
  lingerDeadline: "1 second"
} as const

/** Why a connection brought no message; said in the log, never to the peer. */
export type RefusalReason =
  | "does not open"
  | "too long"
  | "nothing sent"
  | "cut off"
  | "too slow"
  | "crowded out"

/** What happens at a classic server. */
export type ServerEvent = Data.TaggedEnum<{
  Listening: { readonly address: Address }
  Message: { readonly peer: string; readonly text: Uint8Array; readonly wire: Uint8Array }
  Refused: { readonly peer: string; readonly reason: RefusalReason; readonly bytes: number }
}>
/** The constructors and `$match`. */
export const ServerEvent: Data.TaggedEnum.Constructor<ServerEvent> = Data.taggedEnum<ServerEvent>()

/** Where it listens, until when, and who is told. */
export interface ServeOptions {
  readonly address: Address
  /** Return after the first message that opens, as the origin did. */
  readonly once: boolean
  /** Told of everything that happens, from many connections at once. */
  readonly onEvent: (event: ServerEvent) => Effect.Effect<void>
}

/**
 * Takes messages until interrupted, or until the first with `once`. What does not open is told to `on`, never to the
 * peer: good or bad, the server ends its stream when the message has ended, before it looks at it.
 */
export const serve = ({
  address,
  once,
  onEvent
}: ServeOptions): Effect.Effect<void, PortInUse | ListenFailed, Transport | Cipher> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const cipher = yield* Cipher
    const taken = yield* Deferred.make<void>()
    const first = yield* Deferred.make<void>()
    const held = new Held()

    const handle = (connection: Accepted) =>
      Effect.gen(function* () {
        const { peer } = connection
        const wire = yield* receive(connection, held)
        yield* Effect.ignore(connection.end)
        const text = yield* Effect.catchTag(
          cipher.decrypt(wire),
          "DecryptFailed",
          () => new Refused("does not open", wire.length)
        )
        // Of two that finish at once, one is the first; the other is cut like all that come too late.
        if (once && (yield* Deferred.succeed(taken, undefined)) === false)
          return yield* connection.abort
        yield* onEvent(ServerEvent.Message({ peer, text, wire }))
        yield* Deferred.succeed(first, undefined)
      }).pipe(
        Effect.catchTags({
          Refused: ({ reason, bytes }) =>
            onEvent(ServerEvent.Refused({ peer: connection.peer, reason, bytes })),
          Drained: () => Effect.void
        })
      )

    // With `once` nobody else is waited for when the message is out.
    const tooLate = (connection: Accepted) =>
      Effect.zipRight(Deferred.await(first), Effect.delay(connection.abort, "100 millis"))
    const handler = once
      ? (connection: Accepted) => Effect.raceFirst(handle(connection), tooLate(connection))
      : handle
    const listener = yield* transport.listen(address, handler)
    yield* onEvent(ServerEvent.Listening({ address: listener.address }))
    yield* once ? Deferred.await(first) : Effect.never
  }).pipe(Effect.scoped)

/** How a connection without a message ends, inside this file. */
class Refused extends Data.TaggedError("Refused")<{
  readonly reason: RefusalReason
  readonly bytes: number
}> {
  constructor(reason: RefusalReason, bytes: number) {
    super({ reason, bytes })
  }
}

/** The server stops, and this connection had sent nothing yet. */
class Drained extends Data.TaggedError("Drained") {}

/** The bytes to the end of the stream, within every limit. */
const receive = (
  connection: Accepted,
  held: Held
): Effect.Effect<Uint8Array, Refused | Drained, Scope.Scope> =>
  Effect.gen(function* () {
    const crowded = yield* Deferred.make<never, Refused>()
    const share = yield* Effect.acquireRelease(
      Effect.sync(() =>
        held.open((bytes) => Deferred.unsafeDone(crowded, new Refused("crowded out", bytes)))
      ),
      (share) => Effect.sync(() => held.close(share))
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
        held.add(share, chunk.length)
        if (share.bytes > limits.messageBytes) return yield* new Refused("too long", share.bytes)
        chunk = yield* next
      }
      // Until it is handed on it counts, but it is no longer what goes.
      share.finished = true
      return Buffer.concat(chunks.splice(0))
    })
    return yield* all.pipe(
      Effect.raceFirst(Deferred.await(crowded)),
      Effect.timeoutFail({
        duration: limits.messageDeadline,
        onTimeout: () => new Refused("too slow", share.bytes)
      })
    )
  })

interface Share {
  bytes: number
  finished: boolean
  readonly crowdOut: (bytes: number) => void
}

/**
 * What messages hold in memory together, until they are handed on. Over the limit the largest unfinished one goes, so that
 * a small one still gets through; where output is stuck and all are finished, that is the newcomer.
 */
class Held {
  readonly #shares = new Set<Share>()
  #total = 0

  open(crowdOut: (bytes: number) => void): Share {
    const share = { bytes: 0, finished: false, crowdOut }
    this.#shares.add(share)
    return share
  }

  add(share: Share, bytes: number): void {
    share.bytes += bytes
    this.#total += bytes
    if (this.#total <= limits.heldBytes) return
    const unfinished = [...this.#shares].filter(({ finished }) => !finished)
    const largest = unfinished.reduce(
      (most, other) => (other.bytes > most.bytes ? other : most),
      share
    )
    this.close(largest)
    largest.crowdOut(largest.bytes)
  }

  close(share: Share): void {
    if (this.#shares.delete(share)) this.#total -= share.bytes
  }
}

/** What goes where. */
export interface SendOptions {
  readonly address: Address
  readonly text: Uint8Array
  /** Send more than the origin's server can take in its one read. */
  readonly anyLength: boolean
}

/** The bytes that went over the wire. The classic system has no receipt: they were handed over, no more is known. */
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
      const detail = "the origin's server reads at most"
      const hint = "Sealwire's own server accepts more"
      return yield* new MessageTooLong({ bytes: text.length, limit: originLimit, detail, hint })
    }
    const wire = yield* cipher.encrypt(text)
    if (wire.length > limits.messageBytes)
      return yield* new MessageTooLong({
        bytes: wire.length,
        limit: limits.messageBytes,
        detail: "a classic message has at most"
      })

    const connection = yield* transport.connect(address)
    yield* connection.write(wire)
    yield* connection.end
    yield* Effect.timeoutOption(untilEnd(connection.read), limits.lingerDeadline)
    return { wire }
  }).pipe(Effect.scoped)

/** Reads on until the peer has ended; the origin answers nothing, and nothing it might answer is believed. */
const untilEnd = (
  read: Effect.Effect<Uint8Array | undefined, ConnectionLost>
): Effect.Effect<void, ConnectionLost> =>
  Effect.flatMap(read, (chunk) => (chunk === undefined ? Effect.void : untilEnd(read)))
