// What the laws of a transport are told over.
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

/** A transport to be tested. */
export interface TransportSubject {
  readonly layer: Layer.Layer<Transport>
  /** A free address. */
  readonly freeAddress: Effect.Effect<Address, never, Scope.Scope>
  /** Where nobody listens, and what connecting there says. */
  readonly unusedAddress: Address
  readonly unusedReason: ConnectFailure
  /** Unix sockets know no reset: there the peer of a failed scope just ends. */
  readonly supportsReset: boolean
  /** What a writer may get rid of while nobody reads: Node's buffers and, on Net, the kernel's. */
  readonly maxUnreadBytes: number
  /** And so much more when somebody has begun to read and then stops. */
  readonly maxReadAheadBytes: number
}

type Body<A> = Effect.Effect<A, unknown, Transport | Scope.Scope>

/** How a law is written down: as tests of a runner, over a transport. */
export const lawsOf = (vitest: Runner, { layer, freeAddress, supportsReset }: TransportSubject) => {
  const { expect, it } = vitest
  // The log of handlers that fail on purpose is not shown.
  const ready = <A>(body: Body<A>) =>
    body.pipe(Effect.provide(layer), Logger.withMinimumLogLevel(LogLevel.None))

  const law = (name: string, body: Body<void>) => it.scopedLive(name, () => ready(body))
  /** For deadlines: hurry() lets them pass. */
  const lawOfTime = (name: string, body: Body<void>) => it.scoped(name, () => ready(body))
  const met = Effect.flatMap(freeAddress, connectPair)
  const bothWays = (name: string, body: (one: Side, other: Side) => Body<void>) => {
    law(
      `${name} (client first)`,
      Effect.flatMap(met, ([near, far]) => body(near, far))
    )
    law(
      `${name} (server first)`,
      Effect.flatMap(met, ([near, far]) => body(far, near))
    )
  }

  /** What a connection that was cut short shows: a loss; where there is no reset, at least an end. */
  const cutShort = (connection: Connection) =>
    Effect.map(withTimeout("the loss", Effect.exit(readAll(connection))), (exit) => {
      if (supportsReset || Exit.isFailure(exit))
        expect(exit).toMatchObject({ cause: { error: { _tag: "ConnectionLost" } } })
    })
  return { ready, law, lawOfTime, met, bothWays, cutShort }
}
