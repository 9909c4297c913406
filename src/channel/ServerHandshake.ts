// The server's side of a handshake, from accept to READY: one synchronous object for a connection,
// one timer, and no fiber. PROTOCOL.md section 4.
import * as Duration from "effect/Duration"
import type { Accepted } from "../transports/Acceptor.ts"
import type { Timers } from "../transports/Timers.ts"
import { ChannelState } from "./ChannelState.ts"
import { respond, type HandshakeResult } from "./Handshake.ts"
import type { ServerKeys } from "./HandshakeKeys.ts"
import { closedByPeer, HandshakeDriver } from "./HandshakeDriver.ts"
import { limits } from "./limits.ts"
import type { Padding } from "./Padding.ts"

/** A client that has proven its keys, and its channel: both READYs are sent. */
export interface Authenticated {
  readonly session: HandshakeResult
  readonly state: ChannelState
  readonly opening: string
}

/** Why a server has refused a connection. Plain data: an error would cost as much as a record. */
export interface Refusal {
  /** The address of the client. */
  readonly peer: string
  readonly reason: string
  /** The client's public key, if it was shown. */
  readonly publicKey: Uint8Array | undefined
  /** True if the client closed the connection before it had sent a byte. */
  readonly isSilent: boolean
}

/** Receives the outcome of a handshake, once; not after `cancel`. */
export interface HandshakeListener {
  readonly opened: (client: Authenticated) => void
  /** The connection has been reset, at the moment that PROTOCOL.md prescribes. */
  readonly refused: (refusal: Refusal) => void
  /** A bug of this program. */
  readonly defect: (cause: unknown) => void
}

const firstByteMillis = Duration.toMillis(limits.firstByteDeadline)
const handshakeMillis = Duration.toMillis(limits.handshakeDeadline)

/**
 * The handshake goes through these states:
 *
 *     awaiting the first byte -> handshaking -> awaiting READY -> opened
 *          |                        |                |
 *          +------------------------+----------------+--> refused -> reset at the next multiple
 *                                                                    of `refusalQuantumMillis`, or
 *                                                                    when the server drains
 */
export class ServerHandshake {
  readonly #connection: Accepted
  readonly #padding: Padding
  readonly #timers: Timers
  readonly #listener: HandshakeListener
  readonly #driver: HandshakeDriver<HandshakeResult>
  readonly #acceptedAt: number
  #publicKey: Uint8Array | undefined
  /** Opened, refused or canceled: bytes and deadlines have no effect any more. */
  #isDecided = false
  #stopTimer: () => void
  #stopDraining: () => void = () => {}
  /** Resets a refused connection, which waits for its moment. */
  #reset: (() => void) | undefined

  constructor(
    connection: Accepted,
    keys: ServerKeys,
    padding: Padding,
    timers: Timers,
    listener: HandshakeListener
  ) {
    this.#connection = connection
    this.#padding = padding
    this.#timers = timers
    this.#listener = listener
    this.#acceptedAt = timers.monotonic
    const { flow, peer } = connection
    const client = {
      address: peer,
      send: (bytes: Uint8Array) => flow.write(bytes),
      markResponsive: () => connection.markResponsive(),
      identify: (shown: Uint8Array) => {
        this.#publicKey = shown
      }
    }
    this.#driver = new HandshakeDriver(flow, respond(client, keys), {
      done: (result) =>
        typeof result === "string" ? this.#refuse(result) : this.#awaitReady(result),
      defect: (cause) =>
        this.#decide(() => {
          this.#stopDraining()
          listener.defect(cause)
        })
    })
    this.#stopTimer = timers.schedule(firstByteMillis, () => this.#firstByteDue())
  }

  start(): void {
    // An unauthenticated client has no work in progress for which a draining server must wait. All
    // are reset at once, also those that are refused already: that tells nothing about keys.
    this.#stopDraining = this.#connection.onDraining(() => {
      this.#refuse("this server is shutting down")
      this.#reset?.()
    })
    if (!this.#isDecided) this.#driver.start()
  }

  /** Ends the handshake without an outcome: the connection has been reset. */
  cancel(): void {
    this.#decide(() => {})
    this.#stopTimer()
    this.#stopDraining()
  }

  #firstByteDue(): void {
    if (!this.#driver.hasReceived) return this.#refuse("no data received")
    this.#stopTimer = this.#timers.schedule(handshakeMillis - this.#elapsed, () =>
      this.#refuse("timed out")
    )
  }

  /** S5: message 1 may be a replay; READY cannot be one. */
  #awaitReady(session: HandshakeResult): void {
    const connection = this.#connection
    const options = { padding: this.#padding }
    const state = new ChannelState(connection, session, options, (failed, opening) => {
      if (failed !== undefined) return this.#refuse(failed.reason)
      this.#decide(() => {
        this.#stopDraining()
        connection.markAuthenticated()
        state.sendReady()
        this.#listener.opened({ session, state, opening })
      })
    })
    state.start()
  }

  #refuse(reason: string): void {
    this.#decide(() => {
      const { flow, peer } = this.#connection
      // Bytes that arrive from now on get no answer.
      flow.stop(new Uint8Array(0))
      const isSilent = reason === closedByPeer && !this.#driver.hasReceived
      const publicKey = this.#publicKey
      // The time of a refusal must not reveal its reason.
      const wait = limits.refusalQuantumMillis - (this.#elapsed % limits.refusalQuantumMillis)
      this.#reset = () => {
        this.#reset = undefined
        this.#stopTimer()
        this.#stopDraining()
        flow.reset()
        this.#listener.refused({ peer, reason, publicKey, isSilent })
      }
      this.#stopTimer = this.#timers.schedule(wait, this.#reset)
    })
  }

  #decide(act: () => void): void {
    if (this.#isDecided) return
    this.#isDecided = true
    this.#stopTimer()
    this.#driver.cancel()
    act()
  }

  /** Milliseconds since the connection was accepted. */
  get #elapsed(): number {
    return this.#timers.monotonic - this.#acceptedAt
  }
}
