// A channel over a connection: an authenticated peer, and items that arrive complete and in order.
//
//   connect, accept, handler   deadlines of the client, scope                 (this file)
//     ServerHandshake          deadlines of the server, equal timing of rejections
//     HandshakeDriver          runs Handshake.initiate or respond over Connection.flow
//       ChannelState           the states and the ends; records by type
//         read   <- Reading <- Inbound (open)          <- Connection.flow
//         write  -> Writing -> Outbound (batch, seal)  -> Connection.flow
//         Closing              what has ended the channel, and its error
//       KeepAlive              PINGs after silence, detection of a dead peer
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { HandshakeState } from "../noise/HandshakeState.ts"
import type { Accepted, Begin, Handler } from "../transports/Acceptor.ts"
import type { Connection } from "../transports/Connection.ts"
import { asyncAtMost, releaseAtMost } from "../transports/Deadline.ts"
import { Timers } from "../transports/Timers.ts"
import { HandshakeFailed, type ChannelError } from "./ChannelErrors.ts"
import { Control, type ChannelFlow, type ChannelItem, type ChannelListener } from "./ChannelItem.ts"
import { ChannelState } from "./ChannelState.ts"
import { CloseCode } from "./Close.ts"
import { initiatorKeysOf, type ClientKeys } from "./ClientKeys.ts"
import { finish, initiate as initiateSteps, type HandshakeResult } from "./Handshake.ts"
import type { ServerKeys } from "./HandshakeKeys.ts"
import { closedByPeer, HandshakeDriver } from "./HandshakeDriver.ts"
import { ForeignAnswer, type HandshakeFailure } from "./HandshakeFailure.ts"
import { startKeepAlive } from "./KeepAlive.ts"
import { limits } from "./limits.ts"
import { none as noPadding, type Padding } from "./Padding.ts"
import type { Possession } from "./Possession.ts"
import { ServerHandshake, type Authenticated, type Refusal } from "./ServerHandshake.ts"
import { refusalOf } from "./serverCheck.ts"

export { Control, type Refusal, type ChannelFlow, type ChannelItem, type ChannelListener }
export { toSink, toStream } from "./ChannelStreams.ts"

/**
 * Two authenticated byte streams, one in each direction. Closed with CLOSE when its scope succeeds,
 * reset when it fails.
 */
export interface Channel {
  /** The local name of the peer's key; without one, the peer's address. */
  readonly peer: string
  /** The peer's address in the form of the transport. */
  readonly peerAddress: string
  readonly suite: string
  /** The opening: the service that the client requests. */
  readonly opening: string
  /** The peer's public key, in suites that have one. */
  readonly publicKey: Uint8Array | undefined
  /** This side's public key, likewise. A server with several has used this one. */
  readonly ownKey: Uint8Array | undefined
  /** Proofs that the server holds further keys, bound to this channel. */
  readonly possession: Possession
  /** Equal on both sides, and unique to this channel; for channel binding. Noise section 11.2. */
  readonly handshakeHash: Uint8Array
  /**
   * Completes when the peer's READY has arrived, which proves that the peer has every key of the
   * suite. On the server it is complete from the start.
   */
  readonly ready: Effect.Effect<void, HandshakeFailed>
  /**
   * Reads the next bytes or control message; undefined after the peer's FIN. One reader at a time.
   */
  readonly read: Effect.Effect<ChannelItem | undefined, ChannelError>
  /**
   * Makes the waiting read, or else the next read that would wait, return undefined; for an orderly
   * stop.
   */
  readonly interruptRead: Effect.Effect<void>
  /**
   * Sends bytes; writes of one turn share a record. Waits while the send buffer is full. The caller
   * must not change the bytes afterwards.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ChannelError>
  /** Sends a control message to the program at the other end, in order with the bytes. */
  readonly sendControl: (body: Uint8Array) => Effect.Effect<void, ChannelError>
  /** Sends FIN, after which this side cannot write. Reading continues. */
  readonly end: Effect.Effect<void, ChannelError>
  /** Sets the code of the CLOSE that this side sends, instead of Done. */
  readonly setCloseReason: (
    reason: Exclude<keyof typeof CloseCode, "Done" | "Exhausted">
  ) => Effect.Effect<void>
  /**
   * Resets the connection at once, without CLOSE: the peer has broken the protocol of the program.
   * PROTOCOL.md section 1.
   */
  readonly reset: Effect.Effect<void>
  /**
   * Sets the keepalive pace: an idle channel of a pool detects a dead peer in 15 seconds instead of
   * two minutes.
   */
  readonly keepAlive: (isIdle: boolean) => void
  /** Asks the peer for a sign of life, PING; false if there is none in 3 seconds. */
  readonly probe: Effect.Effect<boolean>
  /** The same channel with callbacks, for a program that moves many bytes. */
  readonly flow: ChannelFlow
}

/** Options of this side; the peer does not need to know them. */
export interface ChannelOptions {
  readonly padding?: Padding
}

/** Options of a client. */
export interface ConnectOptions extends ChannelOptions {
  /** The opening, at most 255 bytes of UTF-8. The server receives it before it sends READY. */
  readonly opening?: string
  /**
   * When the client began to connect, by `Timers.monotonic`; the server has accepted later. Default:
   * now.
   */
  readonly startedAt?: number | undefined
}

/**
 * Runs the client's handshake, C1 to C4, over a connection. READY follows with the first record.
 */
export const initiate = <E = never, R = never>(
  connection: Connection,
  keys: ClientKeys<E, R>,
  { startedAt: dialedAt }: Pick<ConnectOptions, "startedAt"> = {}
): Effect.Effect<HandshakeResult, HandshakeFailed | E, R> =>
  Effect.gen(function* () {
    const failed = (reason: string, failure?: HandshakeFailure) =>
      new HandshakeFailed({
        peer: connection.peer,
        reason,
        ...(failure === undefined ? {} : { failure })
      })
    const { flow } = connection
    // Before anything is sent: it throws when nothing would authenticate the server.
    const initiatorKeys = initiatorKeysOf(keys)
    const timers = yield* Timers.current
    const startedAt = dialedAt ?? timers.monotonic
    let driver: HandshakeDriver<HandshakeState | ForeignAnswer> | undefined
    // A server that refuses a client closes after `refusalQuantumMillis`, not sooner.
    const isEarly = () => timers.monotonic - startedAt < earliestRefusalMillis
    const failureOf = (reason: string): HandshakeFailure => {
      if (reason !== closedByPeer) return "undecipherable"
      return driver?.hasReceived === false && isEarly() ? "closed early" : "refused"
    }
    const state = yield* asyncAtMost<HandshakeState, HandshakeFailed>(
      limits.handshakeDeadline,
      () => failed("timed out", "unanswered"),
      (resume) => {
        driver = new HandshakeDriver(flow, initiateSteps(initiatorKeys, flow.write), {
          done: (result) =>
            resume(
              typeof result === "string"
                ? failed(result, failureOf(result))
                : result instanceof ForeignAnswer
                  ? failed(result.reason, "foreign")
                  : Effect.succeed(result)
            ),
          defect: (cause) => resume(Effect.die(cause))
        })
        driver.start()
      }
    )
    // C3: the key of a server that is not pinned is checked before the client sends its own.
    if (keys.checkServer !== undefined) {
      const refusal = yield* refusalOf(keys.checkServer, state.remoteStatic as Uint8Array)
      if (refusal !== undefined) return yield* failed(refusal)
    }
    const result = finish(initiatorKeys.suite, state)
    return typeof result === "string" ? yield* failed(result, "undecipherable") : result
  })

/** Opens the client's side of a channel. The program may write at once: READY is sent first. */
export const connect = <E = never, R = never>(
  connection: Connection,
  keys: ClientKeys<E, R>,
  { padding = noPadding, opening = "", startedAt }: ConnectOptions = {}
): Effect.Effect<Channel, HandshakeFailed | E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* initiate(connection, keys, { startedAt })
    const timers = yield* Timers.current
    // The program may write already, but the server's READY has a deadline too.
    const ready = Deferred.unsafeMake<void, HandshakeFailed>(FiberId.none)
    const cancel = timers.schedule(handshakeMillis, () => state.timedOut())
    const state = new ChannelState(connection, session, { padding, opening }, (failed) => {
      cancel()
      Deferred.unsafeDone(ready, failed ?? Effect.void)
    })
    state.sendReady()
    state.start()
    return yield* closeWithScope(
      channelOf(connection, { session, state, opening }, timers, Deferred.await(ready))
    )
  })

/**
 * Opens the server's side. The program gets the channel only after the client's READY, which is not
 * a replay.
 */
export const accept = (
  connection: Accepted,
  keys: ServerKeys,
  { padding = noPadding }: ChannelOptions = {}
): Effect.Effect<Channel, HandshakeFailed, Scope.Scope> =>
  Effect.flatMap(Timers.current, (timers) =>
    Effect.flatMap(authenticate(connection, keys, padding, timers), (client) =>
      closeWithScope(channelOf(connection, client, timers, Effect.void))
    )
  )

/** Runs the server's handshake. */
const authenticate = (
  connection: Accepted,
  keys: ServerKeys,
  padding: Padding,
  timers: Timers
): Effect.Effect<Authenticated, HandshakeFailed> =>
  Effect.async((resume) => {
    const handshake = new ServerHandshake(connection, keys, padding, timers, {
      opened: (client) => resume(Effect.succeed(client)),
      refused: (refusal) => resume(new HandshakeFailed(refusal)),
      defect: (cause) => resume(Effect.die(cause))
    })
    handshake.start()
    return Effect.sync(() => handshake.cancel())
  })

/** The keys and callbacks with which a server accepts one connection. */
export interface Acceptance<R> extends ChannelOptions {
  readonly keys: ServerKeys
  /** Uses the channel, which closes with the scope. It handles its own errors. */
  readonly opened: (channel: Channel) => Effect.Effect<void, never, R | Scope.Scope>
  /** Called after the connection was reset. */
  readonly refused: (refusal: Refusal) => Effect.Effect<void, never, R>
  /** Called once when the handshake is over: before `opened` or `refused`, or without them. */
  readonly settled?: () => void
  /** Called when the channel has closed, which may wait for the peer after `opened`. */
  readonly closed?: () => void
}

/**
 * Makes a handler of connections that opens the server's side of a channel, as `accept` does,
 * without a fiber before the channel is open.
 *
 * @example
 * const handler = yield* Channel.handler((connection) => ({
 *   keys,
 *   opened: (channel) => Effect.ignore(channel.write(Buffer.from("hello"))),
 *   refused: ({ peer, reason }) => Effect.logDebug(`refused ${peer}: ${reason}`)
 * }))
 * yield* transport.listen(address, handler)
 */
export const handler = <R>(
  acceptanceOf: (connection: Accepted) => Acceptance<R>
): Effect.Effect<Handler<R>> =>
  Effect.map(Timers.current, (timers) => {
    const sessionOf = (
      connection: Accepted,
      { opened, closed }: Acceptance<R>,
      client: Authenticated
    ) => {
      const channel = channelOf(connection, client, timers, Effect.void)
      return Effect.zipRight(finallyCall(closed), Effect.flatMap(closeWithScope(channel), opened))
    }
    const begin: Begin<R> = (connection, { serve, forget }) => {
      const acceptance = acceptanceOf(connection)
      const { keys, padding = noPadding, refused, settled } = acceptance
      const handshake = new ServerHandshake(connection, keys, padding, timers, {
        opened: (client) => {
          settled?.()
          serve(sessionOf(connection, acceptance, client))
        },
        refused: (refusal) => {
          settled?.()
          forget(refused(refusal))
        },
        defect: (cause) => {
          settled?.()
          serve(Effect.die(cause))
        }
      })
      handshake.start()
      return () => {
        handshake.cancel()
        settled?.()
      }
    }
    const serveConnection = (connection: Accepted) => {
      const acceptance = acceptanceOf(connection)
      const { keys, padding = noPadding, refused, settled } = acceptance
      return authenticate(connection, keys, padding, timers).pipe(
        Effect.ensuring(Effect.sync(() => settled?.())),
        Effect.matchEffect({
          onFailure: ({ peer, reason, publicKey, isSilent = false }) =>
            refused({ peer, reason, publicKey, isSilent }),
          onSuccess: (client) => sessionOf(connection, acceptance, client)
        })
      )
    }
    return Object.assign(serveConnection, { begin })
  })

const handshakeMillis = Duration.toMillis(limits.handshakeDeadline)
const earliestRefusalMillis = limits.refusalQuantumMillis - limits.refusalMarginMillis

/** Calls a function when the scope closes, after everything that is added later. */
const finallyCall = (callback: (() => void) | undefined): Effect.Effect<void, never, Scope.Scope> =>
  callback === undefined ? Effect.void : Effect.addFinalizer(() => Effect.sync(callback))

/** A channel that is open, and the finalizer that closes it. */
interface OpenChannel {
  readonly channel: Channel
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** Makes the program's side of a channel, and starts its keepalive. */
const channelOf = (
  connection: Connection,
  { session, state, opening }: Authenticated,
  timers: Timers,
  ready: Channel["ready"]
): OpenChannel => {
  const keepAlive = startKeepAlive(state, timers)
  const channel: Channel = {
    peer: session.peerName ?? connection.peer,
    peerAddress: connection.peer,
    suite: session.suite.name,
    opening,
    publicKey: session.remoteStatic,
    ownKey: session.localStatic,
    possession: session.possession,
    handshakeHash: session.handshakeHash,
    ready,
    read: state.read,
    interruptRead: state.interruptRead,
    write: state.write,
    sendControl: state.sendControl,
    end: state.end,
    setCloseReason: (reason) =>
      Effect.sync(() => {
        state.closeCode = CloseCode[reason]
      }),
    reset: Effect.sync(() => state.reset()),
    keepAlive: keepAlive.setIdle,
    probe: Effect.async((resume) => keepAlive.probe((alive) => resume(Effect.succeed(alive)))),
    flow: state.flow
  }
  return {
    channel,
    close: (exit) => {
      keepAlive.stop()
      return Exit.isFailure(exit) ? Effect.void : close(state)
    }
  }
}

/** Returns the channel; it closes with the scope. */
const closeWithScope = ({
  channel,
  close
}: OpenChannel): Effect.Effect<Channel, never, Scope.Scope> =>
  Effect.as(Effect.addFinalizer(close), channel)

/**
 * Sends CLOSE and waits for the end of the peer's stream. A finalizer is uninterruptible, so a
 * timer ends the wait.
 */
const close = (state: ChannelState): Effect.Effect<void> =>
  releaseAtMost(limits.closeDeadline, (done) => state.close(done))
