// A Connection becomes a Channel: what is read was written by the peer whose key we know, whole and in order.
//
//   read  <- waiting bodies <- Inbound (open) <- Connection.flow <- the wire
//   write -> Outbound (gather, seal) -> Connection.flow -> the wire
//
// Here: how it begins, how it is kept alive, how it ends. In between: Core.
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Connection } from "../transports/Connection.ts"
import { awaitAtMost } from "../transports/Deadline.ts"
import { HandshakeFailed, type ChannelError } from "./ChannelErrors.ts"
import { Control, Core, type Item } from "./Core.ts"
import { initiate, respond, type ClientKeys, type ServerKeys, type Session } from "./Handshake.ts"
import { limits } from "./limits.ts"
import { none as noPadding, type Padding } from "./Padding.ts"
import type { Suite } from "./Suite.ts"

export { Control, type Item }

/** Two authenticated byte streams, one each way. It ends with its scope: closed in good order after success, else cut. */
export interface Channel {
  /** Who is there: the name its key has here, else where it is. */
  readonly peer: string
  /** Where it is, as the transport knows it. */
  readonly from: string
  readonly suite: Suite["name"]
  /** The peer's public key, in the suites that have one. */
  readonly publicKey: Uint8Array | undefined
  /** The same on both sides, and unlike any other session's: for binding something to this channel. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** The next bytes, or a control message; undefined once the peer has said FIN. One reader at a time. */
  readonly read: Effect.Effect<Item | undefined, ChannelError>
  /** The next read that would wait, or the one that waits, gives undefined: for a program that stops. */
  readonly quiet: Effect.Effect<void>
  /** Seals and sends; small writes of one turn travel together. Waits while the peer does not keep up. The bytes must not change afterwards. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ChannelError>
  readonly control: (body: Uint8Array) => Effect.Effect<void, ChannelError>
  /** Says FIN: nothing more is written here. Reading goes on. */
  readonly end: Effect.Effect<void, ChannelError>
}

export interface ChannelOptions {
  readonly padding?: Padding
}

/** The client's side, over a connection it made. It may write at once; READY goes before. */
export const connect = <E, R>(
  connection: Connection,
  keys: ClientKeys,
  checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>,
  options: ChannelOptions = {}
): Effect.Effect<Channel, HandshakeFailed | E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* Effect.timeoutFail(initiate(connection, keys, checkServer), {
      duration: limits.handshakeDeadline,
      onTimeout: () => new HandshakeFailed({ peer: connection.peer, reason: "no answer in time" })
    })
    const core = new Core(connection, session, options.padding ?? noPadding)
    core.sayReady()
    // The server's READY has its deadline too, while the program writes already.
    yield* core.ready.pipe(
      Effect.timeoutOption(limits.handshakeDeadline),
      Effect.map(Option.match({ onNone: () => core.die(), onSome: () => {} })),
      Effect.ignore,
      Effect.forkScoped
    )
    return yield* opened(connection, session, core)
  })

/** The server's side. Nothing is believed, and nothing given to the program, before the client's READY has opened. */
export const accept = (
  connection: Accepted,
  keys: ServerKeys,
  options: ChannelOptions = {}
): Effect.Effect<Channel, HandshakeFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const came = yield* Clock.currentTimeMillis
    const proven = Effect.gen(function* () {
      const session = yield* respond(connection, keys)
      // S5: message 1 may be a replay; READY is not.
      const core = new Core(connection, session, options.padding ?? noPadding)
      yield* core.ready
      return { session, core }
    })
    const { session, core } = yield* proven.pipe(
      Effect.timeoutFail({
        duration: limits.handshakeDeadline,
        onTimeout: () => new HandshakeFailed({ peer: connection.peer, reason: "not done in time" })
      }),
      Effect.tapError(() => Effect.zipRight(untilQuantum(came), connection.abort))
    )
    yield* connection.establish
    core.sayReady()
    return yield* opened(connection, session, core)
  })

/** Waits to the next multiple of the quantum since then: a refusal takes as long for one reason as for another. */
const untilQuantum = (came: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.sleep(limits.refusalQuantumMillis - ((now - came) % limits.refusalQuantumMillis))
  )

const opened = (connection: Connection, session: Session, core: Core): Effect.Effect<Channel, never, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer((exit) => close(core, exit))
    yield* Effect.forkScoped(keepAlive(core))
    return {
      peer: session.peerName ?? connection.peer,
      from: connection.peer,
      suite: session.suite.name,
      publicKey: session.remoteStatic,
      handshakeHash: session.handshakeHash,
      read: core.read,
      quiet: core.quiet,
      write: core.write,
      control: core.control,
      end: core.end
    }
  })

/** PING after silence, and an end to a peer that leaves three of them unanswered. */
const keepAlive = (core: Core): Effect.Effect<void> =>
  Effect.gen(function* () {
    let misses = 0
    core.heard = false
    while (misses <= limits.keepaliveMisses) {
      yield* Effect.sleep(limits.keepalive)
      const { heard } = core
      misses = heard || core.busy ? 0 : misses + 1
      // Before the PING: in memory its PONG is here when it has gone.
      core.heard = false
      // Also while we do not read: the peer, whose PINGs wait unread, must hear that we live.
      if (!heard && misses <= limits.keepaliveMisses) core.ping()
    }
    core.die()
  })

const close = (core: Core, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (Exit.isFailure(exit)) return Effect.void
    core.bid()
    return awaitAtMost(core.gone, limits.closeDeadline)
  })
