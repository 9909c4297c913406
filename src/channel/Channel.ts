// A channel over a connection: an authenticated peer, and items that arrive complete and in order.
//
//   connect, accept            deadlines, equal timing of rejections, scope   (this file)
//     HandshakeDriver          runs Handshake.initiate or respond over Connection.flow
//       ChannelState           READY, FIN, CLOSE, PING; records <-> items
//         read   <- ReceiveQueue <- Inbound (open)         <- Connection.flow
//         write  -> Outbound (batch, seal)                 -> Connection.flow
//       KeepAlive              PINGs after silence, detection of a dead peer
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { HandshakeState } from "../noise/HandshakeState.ts"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Connection } from "../transports/Connection.ts"
import { asyncAtMost } from "../transports/Deadline.ts"
import { Timers } from "../transports/Timers.ts"
import { HandshakeFailed, type ChannelError } from "./ChannelErrors.ts"
import { Control, type ChannelFlow, type ChannelItem, type ChannelListener } from "./ChannelItem.ts"
import { ChannelState } from "./ChannelState.ts"
import { CloseCode } from "./Close.ts"
import { initiatorKeysOf, type ClientKeys } from "./ClientKeys.ts"
import {
  finish,
  initiate as initiateSteps,
  respond as respondSteps,
  type HandshakeResult,
  type ServerKeys
} from "./Handshake.ts"
import { closedByPeer, HandshakeDriver } from "./HandshakeDriver.ts"
import { startKeepAlive } from "./KeepAlive.ts"
import { limits } from "./limits.ts"
import { none as noPadding, type Padding } from "./Padding.ts"
import type { Possession } from "./Possession.ts"
import { refusalOf } from "./serverCheck.ts"

export { Control, type ChannelFlow, type ChannelItem, type ChannelListener }

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
    const failed = (reason: string, transient = false) =>
      new HandshakeFailed({ peer: connection.peer, reason, transient })
    const { flow } = connection
    // Before anything is sent: it throws when nothing would authenticate the server.
    const initiatorKeys = initiatorKeysOf(keys)
    const timers = yield* Timers.current
    const startedAt = dialedAt ?? timers.monotonic
    let driver: HandshakeDriver<HandshakeState> | undefined
    const isUnanswered = () => driver?.hasReceived === false
    // A server that rejects a client closes after `refusalQuantumMillis`, not sooner.
    const isEarly = () => timers.monotonic - startedAt < earliestRefusalMillis
    const state = yield* asyncAtMost<HandshakeState, HandshakeFailed>(
      limits.handshakeDeadline,
      () => failed("timed out", isUnanswered()),
      (resume) => {
        driver = new HandshakeDriver(flow, initiateSteps(initiatorKeys, flow.write), {
          done: (result) =>
            resume(
              typeof result === "string"
                ? failed(result, isUnanswered() && isEarly())
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
    return typeof result === "string" ? yield* failed(result) : result
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
    return yield* channelOf({
      connection,
      session,
      state,
      timers,
      opening,
      ready: Deferred.await(ready)
    })
  })

/**
 * Opens the server's side. The program gets the channel only after the client's READY, which is not
 * a replay.
 */
export const accept = (
  connection: Accepted,
  keys: ServerKeys,
  options: ChannelOptions = {}
): Effect.Effect<Channel, HandshakeFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const timers = yield* Timers.current
    const acceptedAt = timers.monotonic
    const { session, state, opening } = yield* Effect.tapErrorCause(
      authenticate(connection, keys, options.padding ?? noPadding, timers),
      () =>
        Effect.zipRight(
          Effect.suspend(() => {
            const elapsed = timers.monotonic - acceptedAt
            return sleepUntil(timers, acceptedAt + elapsed + millisToRefusal(elapsed))
          }),
          connection.abort
        )
    )
    connection.markAuthenticated()
    state.sendReady()
    return yield* channelOf({ connection, session, state, timers, opening, ready: Effect.void })
  })

interface Authenticated {
  readonly session: HandshakeResult
  readonly state: ChannelState
  readonly opening: string
}

/** Runs the server's handshake, S1 to S5, within its deadlines. */
const authenticate = (
  connection: Accepted,
  keys: ServerKeys,
  padding: Padding,
  timers: Timers
): Effect.Effect<Authenticated, HandshakeFailed> =>
  Effect.async((resume) => {
    const { flow, peer } = connection
    let isRejected = false
    let publicKey: Uint8Array | undefined
    let cancelDraining = () => {}
    const cancel = () => {
      cancelFirstByte()
      cancelHandshake()
      cancelDraining()
    }
    const reject = (reason: string) => {
      isRejected = true
      cancel()
      // Bytes that arrive from now on get no answer.
      flow.stop(new Uint8Array(0))
      const isSilent = reason === closedByPeer && !driver.hasReceived
      resume(new HandshakeFailed({ peer, reason, publicKey, isSilent }))
    }
    const cancelFirstByte = timers.schedule(firstByteMillis, () => {
      if (!driver.hasReceived) reject("no data received")
    })
    const cancelHandshake = timers.schedule(handshakeMillis, () => reject("timed out"))
    // An unauthenticated client has no work in progress for which a draining server must wait.
    cancelDraining = connection.onDraining(() => reject("this server is shutting down"))
    const driver = new HandshakeDriver(
      flow,
      respondSteps(
        {
          address: peer,
          send: flow.write,
          markResponsive: connection.markResponsive,
          identify: (shown) => {
            publicKey = shown
          }
        },
        keys
      ),
      {
        done: (session) => {
          if (typeof session === "string") return reject(session)
          // S5: message 1 may be a replay; READY cannot be one.
          const state = new ChannelState(connection, session, { padding }, (failed, opening) => {
            if (failed !== undefined) return reject(failed.reason)
            cancel()
            resume(Effect.succeed({ session, state, opening }))
          })
          state.start()
        },
        defect: (cause) => {
          cancel()
          resume(Effect.die(cause))
        }
      }
    )
    if (!isRejected) driver.start()
    return Effect.sync(cancel)
  })

const firstByteMillis = Duration.toMillis(limits.firstByteDeadline)
const handshakeMillis = Duration.toMillis(limits.handshakeDeadline)
const earliestRefusalMillis = limits.refusalQuantumMillis - limits.refusalMarginMillis
const closeMillis = Duration.toMillis(limits.closeDeadline)

/**
 * Returns the time to the next multiple of the quantum, so that the timing of a rejection does not
 * reveal its reason.
 */
const millisToRefusal = (elapsed: number): number =>
  limits.refusalQuantumMillis - (elapsed % limits.refusalQuantumMillis)

/** Sleeps until a moment of `Timers.monotonic`: a timer of Node may fire a millisecond early. */
const sleepUntil = (timers: Timers, moment: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = moment - timers.monotonic
    return left > 0 ? Effect.zipRight(Effect.sleep(left), sleepUntil(timers, moment)) : Effect.void
  })

interface ChannelParts extends Authenticated {
  readonly connection: Connection
  readonly timers: Timers
  readonly ready: Channel["ready"]
}

const channelOf = ({
  connection,
  session,
  state,
  timers,
  opening,
  ready
}: ChannelParts): Effect.Effect<Channel, never, Scope.Scope> => {
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
    flow: state.flow
  }
  return Effect.as(
    Effect.addFinalizer((exit) => {
      keepAlive.stop()
      return Exit.isFailure(exit) ? Effect.void : close(state, timers)
    }),
    channel
  )
}

/**
 * Sends CLOSE and waits for the end of the peer's stream. A finalizer is uninterruptible, so a
 * timer ends the wait.
 */
const close = (state: ChannelState, timers: Timers): Effect.Effect<void> =>
  Effect.async((resume) => {
    const done = () => {
      cancel()
      resume(Effect.void)
    }
    const cancel = timers.schedule(closeMillis, done)
    state.close(done)
  })
