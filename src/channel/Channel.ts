// A Connection becomes a Channel: what is read was written by the peer whose key we know, whole and in order.
//
//   read  <- waiting bodies <- Inbound (open) <- Connection.flow <- the wire
//   write -> Outbound (gather, seal) -> Connection.flow -> the wire
//
// Here: how it begins, how it is kept alive, how it ends. In between: Core.
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { Accepted } from "../transports/Acceptor.ts"
import { Timers } from "../transports/Timers.ts"
import type { Connection } from "../transports/Connection.ts"
import { asyncAtMost } from "../transports/Deadline.ts"
import { HandshakeFailed, type ChannelError } from "./ChannelErrors.ts"
import { CloseCode } from "./Close.ts"
import { ChannelState } from "./ChannelState.ts"
import { HandshakeDriver } from "./HandshakeDriver.ts"
import {
  finish,
  initiate as clientHandshake,
  respond,
  type ClientKeys,
  type ServerKeys,
  type HandshakeResult
} from "./Handshake.ts"
import { keepAlive } from "./KeepAlive.ts"
import { Control, type ChannelItem, type ChannelFlow, type ChannelListener } from "./ChannelItem.ts"
import { limits } from "./limits.ts"
import { none as noPadding, type Padding } from "./Padding.ts"
import type { Suite } from "./Suite.ts"

export { Control, type ChannelItem, type ChannelFlow, type ChannelListener }

/** Two authenticated byte streams, one each way. It ends with its scope: closed in good order after success, else cut. */
export interface Channel {
  /** Who is there: the name its key has here, else where it is. */
  readonly peer: string
  /** Where it is, as the transport knows it. */
  readonly peerAddress: string
  readonly suite: Suite["name"]
  /** What the client has opened it for. */
  readonly opening: string
  /** The peer's public key, in the suites that have one. */
  readonly publicKey: Uint8Array | undefined
  /** The same on both sides, and unlike any other session's: for binding something to this channel. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /** Done when the peer's READY has opened: it holds every key that the suite asks for. On the server's side it is done. */
  readonly ready: Effect.Effect<void, HandshakeFailed>
  /** The next bytes, or a control message; undefined once the peer has said FIN. One reader at a time. */
  readonly read: Effect.Effect<ChannelItem | undefined, ChannelError>
  /** The next read that would wait, or the one that waits, gives undefined: for a program that stops. */
  readonly interruptRead: Effect.Effect<void>
  /** Seals and sends; small writes of one turn travel together. Waits while the peer does not keep up. The bytes must not change afterwards. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ChannelError>
  /** Sends a control message to the program at the other end, in the order of the bytes around it. */
  readonly sendControl: (body: Uint8Array) => Effect.Effect<void, ChannelError>
  /** Says FIN: nothing more is written here. Reading goes on. */
  readonly end: Effect.Effect<void, ChannelError>
  /** The close that comes will say this, and not that all is said. */
  readonly setCloseReason: (
    why: Exclude<keyof typeof CloseCode, "Done" | "Exhausted">
  ) => Effect.Effect<void>
  /** True while the channel waits for its use: a peer that has gone without a word is noticed in 15 seconds, not in two minutes. */
  readonly keepAlive: (closely: boolean) => void
  /** For a program that moves many bytes. */
  readonly flow: ChannelFlow
}

/** How the channel is spoken, on this side alone. */
export interface ChannelOptions {
  readonly padding?: Padding
}

/** The same for the side that connects. */
export interface ConnectOptions extends ChannelOptions {
  /** What the channel is for, in at most 255 bytes of UTF-8: the server hears it before it says READY. */
  readonly opening?: string
}

/** C1 to C4 over a connection: the client's half of the handshake. READY goes out with the first record. */
export const initiate = <E, R>(
  connection: Connection,
  keys: ClientKeys,
  checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>
): Effect.Effect<HandshakeResult, HandshakeFailed | E, R> =>
  Effect.gen(function* () {
    const failed = (reason: string, transient = false) =>
      new HandshakeFailed({ peer: connection.peer, reason, transient })
    const { flow } = connection
    const timers = yield* Timers.current
    const began = timers.now
    let exchange: HandshakeDriver<ReturnOf<typeof clientHandshake>> | undefined
    const isUnheard = () => exchange?.heard === false
    const state = yield* asyncAtMost<ReturnOf<typeof clientHandshake>, HandshakeFailed>(
      limits.handshakeDeadline,
      () => failed("no answer in time", isUnheard()),
      (resume) => {
        exchange = new HandshakeDriver(flow, clientHandshake(keys, flow.write), {
          done: (result) =>
            resume(
              typeof result === "string"
                ? failed(result, isUnheard() && timers.now - began < limits.refusalQuantumMillis)
                : Effect.succeed(result)
            ),
          fault: (cause) => resume(Effect.die(cause))
        })
        exchange.start()
      }
    )
    // C3: an unpinned server has shown its key now; it is checked before ours goes out.
    if (keys.suite.hasIdentities && !keys.suite.hasServerKey)
      yield* checkServer(state.remoteStatic as Uint8Array)
    const session = finish(keys.suite, state)
    return typeof session === "string" ? yield* failed(session) : session
  })

/** The client's side, over a connection it made. It may write at once; READY goes before. */
export const connect = <E, R>(
  connection: Connection,
  keys: ClientKeys,
  checkServer: (publicKey: Uint8Array) => Effect.Effect<void, E, R>,
  { padding = noPadding, opening = "" }: ConnectOptions = {}
): Effect.Effect<Channel, HandshakeFailed | E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* initiate(connection, keys, checkServer)
    const timers = yield* Timers.current
    // The server's READY has its deadline too, while the program writes already.
    const ready = Deferred.unsafeMake<void, HandshakeFailed>(FiberId.none)
    const stop = timers.schedule(handshakeMillis, () => core.timedOut())
    const core = new ChannelState(connection, session, { padding, opening }, (failed) => {
      stop()
      Deferred.unsafeDone(ready, failed ?? Effect.void)
    })
    core.sayReady()
    core.start()
    return yield* opened({
      connection,
      session,
      core,
      timers,
      opening,
      ready: Deferred.await(ready)
    })
  })

/** The server's side. Nothing is believed, and nothing given to the program, before the client's READY has opened. */
export const accept = (
  connection: Accepted,
  keys: ServerKeys,
  options: ChannelOptions = {}
): Effect.Effect<Channel, HandshakeFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const timers = yield* Timers.current
    const came = timers.now
    const { session, core, opening } = yield* Effect.tapErrorCause(
      proven(connection, keys, options.padding ?? noPadding, timers),
      () =>
        Effect.zipRight(
          Effect.suspend(() => Effect.sleep(toQuantum(timers.now - came))),
          connection.abort
        )
    )
    connection.markAuthenticated()
    core.sayReady()
    return yield* opened({ connection, session, core, timers, opening, ready: Effect.void })
  })

interface Proven {
  readonly session: HandshakeResult
  readonly core: ChannelState
  readonly opening: string
}

/** S1 to S5, within their deadlines. */
const proven = (
  connection: Accepted,
  keys: ServerKeys,
  padding: Padding,
  timers: Timers
): Effect.Effect<Proven, HandshakeFailed> =>
  Effect.async((resume) => {
    const { flow, peer } = connection
    const stop = () => {
      stopFirst()
      stopAll()
      stopDraining()
    }
    const refuse = (reason: string) => {
      over = true
      stop()
      // Whatever it says now, it is not answered any more.
      flow.stop(new Uint8Array(0))
      resume(new HandshakeFailed({ peer, reason }))
    }
    const stopFirst = timers.schedule(firstByteMillis, () => {
      if (!exchange.heard) refuse("it said nothing")
    })
    const stopAll = timers.schedule(handshakeMillis, () => refuse("not done in time"))
    // A stranger has nothing in flight that a server which stops would wait for.
    let over = false
    let stopDraining = () => {}
    stopDraining = connection.onDraining(() => refuse("this server stops"))
    const exchange = new HandshakeDriver(
      flow,
      respond({ address: peer, send: flow.write, markResponsive: connection.markResponsive }, keys),
      {
        done: (session) => {
          if (typeof session === "string") return refuse(session)
          // S5: message 1 may be a replay; READY is not.
          const core = new ChannelState(connection, session, { padding }, (failed, opening) => {
            if (failed !== undefined) return refuse(failed.reason)
            stop()
            resume(Effect.succeed({ session, core, opening }))
          })
          core.start()
        },
        fault: (cause) => {
          stop()
          resume(Effect.die(cause))
        }
      }
    )
    if (!over) exchange.start()
    return Effect.sync(stop)
  })

type ReturnOf<F> = F extends (...args: never) => Generator<unknown, infer A, never>
  ? Exclude<A, string>
  : never

const firstByteMillis = Duration.toMillis(limits.firstByteDeadline)
const handshakeMillis = Duration.toMillis(limits.handshakeDeadline)
const closeMillis = Duration.toMillis(limits.closeDeadline)

/** How long to the next multiple of the quantum: a refusal takes as long for one reason as for another. */
const toQuantum = (passed: number): number =>
  limits.refusalQuantumMillis - (passed % limits.refusalQuantumMillis)

interface Opened extends Proven {
  readonly connection: Connection
  readonly timers: Timers
  readonly ready: Channel["ready"]
}

const opened = ({
  connection,
  session,
  core,
  timers,
  opening,
  ready
}: Opened): Effect.Effect<Channel, never, Scope.Scope> => {
  const { stop, attend } = keepAlive(core, timers)
  const channel: Channel = {
    peer: session.peerName ?? connection.peer,
    peerAddress: connection.peer,
    suite: session.suite.name,
    opening,
    publicKey: session.remoteStatic,
    handshakeHash: session.handshakeHash,
    ready,
    read: core.read,
    interruptRead: core.interruptRead,
    write: core.write,
    sendControl: core.control,
    end: core.end,
    setCloseReason: (why) =>
      Effect.sync(() => {
        core.closeCode = CloseCode[why]
      }),
    keepAlive: attend,
    flow: core.flow
  }
  return Effect.as(
    Effect.addFinalizer((exit) => {
      stop()
      return Exit.isFailure(exit) ? Effect.void : closed(core, timers)
    }),
    channel
  )
}

/** Says the close, and waits for the peer's. Nothing interrupts a finalizer, so the alarm must end it. */
const closed = (core: ChannelState, timers: Timers): Effect.Effect<void> =>
  Effect.async((resume) => {
    const done = () => {
      stop()
      resume(Effect.void)
    }
    const stop = timers.schedule(closeMillis, done)
    core.close(done)
  })
