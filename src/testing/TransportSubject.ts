// The transport under test, and the helpers that the law suites of transports share.
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { type Address } from "../transports/Address.ts"
import type { Connection } from "../transports/Connection.ts"
import { Transport } from "../transports/Transport.ts"
import type { ConnectFailure } from "../transports/TransportErrors.ts"
import type { Runner } from "./Runner.ts"
import { connectPair, readAll, withTimeout, type Side } from "./steps.ts"

/** A transport under test. */
export interface TransportSubject {
  readonly layer: Layer.Layer<Transport>
  /** Provides an address to listen on. */
  readonly freeAddress: Effect.Effect<Address, never, Scope.Scope>
  /** An address at which nothing listens. */
  readonly unusedAddress: Address
  /** The reason with which connecting to `unusedAddress` fails. */
  readonly unusedReason: ConnectFailure
  /** False for Unix sockets, which have no reset: the peer of a failed scope sees an end. */
  readonly supportsReset: boolean
  /**
   * False if the end of one direction ends the other, as a WebSocket does. Default: true. Without it
   * the laws about one open direction are left out.
   */
  readonly supportsHalfClose?: boolean
  /**
   * False if a listener that closes still accepts connections, and resets them. Default: true.
   */
  readonly refusesWhileClosing?: boolean
  /**
   * Bytes that a writer can send while the peer does not read: the buffers of Node and, on Net, of
   * the kernel.
   */
  readonly maxUnreadBytes: number
  /** Additional bytes when the peer has started to read and then stopped. */
  readonly maxReadAheadBytes: number
}

type Body<A> = Effect.Effect<A, unknown, Transport | Scope.Scope>

/** Functions that define the laws of a transport as tests of the runner. */
export const lawsOf = (
  vitest: Runner,
  { layer, freeAddress, supportsReset, supportsHalfClose = true }: TransportSubject
) => {
  const { expect, it } = vitest
  // Some handlers fail on purpose; their log is suppressed.
  const ready = <A>(body: Body<A>) =>
    body.pipe(Effect.provide(layer), Logger.withMinimumLogLevel(LogLevel.None))

  const law = (name: string, body: Body<void>) => it.scopedLive(name, () => ready(body))
  /** A law about deadlines, under TestClock: advanceUntilDone() lets them pass. */
  const timedLaw = (name: string, body: Body<void>) => it.scoped(name, () => ready(body))
  const pair = Effect.flatMap(freeAddress, connectPair)
  const bothWays = (name: string, body: (one: Side, other: Side) => Body<void>) => {
    law(
      `${name} (client first)`,
      Effect.flatMap(pair, ([near, far]) => body(near, far))
    )
    law(
      `${name} (server first)`,
      Effect.flatMap(pair, ([near, far]) => body(far, near))
    )
  }
  /** A law about a connection of which one direction has ended. */
  const halfClosed: typeof bothWays = (name, body) => {
    if (supportsHalfClose) bothWays(name, body)
  }

  /** Expects that a connection ends abruptly: with a loss or, without resets, with an end. */
  const expectReset = (connection: Connection) =>
    Effect.map(withTimeout("the loss", Effect.exit(readAll(connection))), (exit) => {
      if (supportsReset || Exit.isFailure(exit))
        expect(exit).toMatchObject({ cause: { error: { _tag: "ConnectionLost" } } })
    })
  return { ready, law, timedLaw, pair, bothWays, halfClosed, expectReset }
}
