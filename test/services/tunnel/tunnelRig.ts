// A complete tunnel for tests: a program at the near end, both ends of the tunnel, and a target.
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { PeerList } from "../../../src/peers/PeerList.ts"
import { rulesOf, type RuleValues } from "../../peers/rulesOf.ts"
import { dial } from "../../../src/services/Dial.ts"
import { PeerSessions } from "../../../src/services/PeerSessions.ts"
import * as Server from "../../../src/services/Server.ts"
import * as TunnelService from "../../../src/services/tunnel/TunnelService.ts"
import * as TunnelClient from "../../../src/services/tunnel/TunnelClient.ts"
import * as Opening from "../../../src/services/tunnel/Opening.ts"
import { openReusable, type OpenFor } from "../../../src/services/tunnel/openReusable.ts"
import * as ChannelPool from "../../../src/services/tunnel/ChannelPool.ts"
import type { Accepted } from "../../../src/transports/Acceptor.ts"
import type { Address } from "../../../src/transports/Address.ts"
import type { Connection } from "../../../src/transports/Connection.ts"
import { Transport } from "../../../src/transports/Transport.ts"
import { alice, dialKeys, serverKeys, anyPort, suiteOf } from "../../channel/rig.ts"
import { withTimeout } from "../../../src/testing/steps.ts"

/** A program at one end of the tunnel. */
export interface End {
  readonly connection: Connection
  readonly close: (exit?: Exit.Exit<void, unknown>) => Effect.Effect<void>
}

export interface RigOptions {
  readonly rules?: RuleValues
  readonly target?: Partial<TunnelService.Target>
  readonly requested?: string
  readonly pool?: number
  /** Channels carry several connections, one after another. Default: false. */
  readonly isReused?: boolean
  readonly takeTimeout?: Duration.DurationInput
  readonly near?: Partial<
    Pick<TunnelClient.ListenOptions<never>, "idle" | "connections" | "newPerSecond">
  >
  readonly idle?: TunnelService.TunnelOptions["idle"]
}

/** Starts a server with a target and a near end; returns them with the records of their events. */
export const rig = ({
  rules = {},
  target = {},
  requested = "",
  pool: size = 1,
  isReused = false,
  takeTimeout = ChannelPool.limits.takeTimeout,
  near = {},
  idle
}: RigOptions = {}) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const arrived = yield* Queue.unbounded<End>()
    const reached: Array<Connection> = []
    const { address: targetAddress } = yield* transport.listen(anyPort, (connection: Accepted) =>
      Effect.gen(function* () {
        const closed = yield* Deferred.make<void, unknown>()
        connection.markAuthenticated()
        reached.push(connection)
        yield* Queue.offer(arrived, {
          connection,
          close: (exit = Exit.void) => Effect.asVoid(Deferred.done(closed, exit))
        })
        yield* Effect.raceFirst(Deferred.await(closed), connection.draining).pipe(Effect.orDie)
      })
    )

    const events: Array<Server.ServerEvent> = []
    const peers = yield* PeerSessions.make(
      new PeerList([{ publicKey: alice.publicKey, name: "alice", rules: rulesOf(rules), line: 1 }])
    )
    const service = yield* TunnelService.service(
      [{ name: "it", address: targetAddress, ...target }],
      idle === undefined ? {} : { idle }
    )
    let stop = Effect.void
    /** Starts a server at this address. */
    const serve = (address: Address) =>
      Effect.gen(function* () {
        const listening = yield* Deferred.make<Address>()
        const fiber = yield* Effect.forkScoped(
          Server.serve({
            address,
            keys: { ...serverKeys, authorize: peers.authorize },
            peers,
            services: [service],
            on: (event) =>
              Effect.suspend(() => {
                events.push(event)
                return event._tag === "Listening"
                  ? Deferred.succeed(listening, event.address)
                  : Effect.void
              })
          })
        )
        stop = Effect.asVoid(fiber.interruptAsFork(fiber.id()))
        return {
          address: yield* withTimeout("the server", Deferred.await(listening)),
          stop: Effect.suspend(() => stop)
        }
      })
    const server = yield* serve(anyPort)

    /** The connections of the near end to the server. */
    const wires: Array<Connection> = []
    const recording: Transport.Shape = {
      ...transport,
      connect: (...args) =>
        Effect.tap(transport.connect(...args), (connection) =>
          Effect.sync(() => wires.push(connection))
        )
    }
    const reports: Array<string> = []
    const ended: Array<TunnelClient.ForwardError | undefined> = []
    const open = ((opening, use) =>
      dial({ address: server.address, keys: dialKeys(suiteOf("IK")) }, opening).pipe(
        Effect.flatMap(use),
        Effect.scoped,
        Effect.provideService(Transport, recording)
      )) satisfies OpenFor<unknown, never>
    const pool = yield* ChannelPool.make({
      open: isReused ? openReusable(open, requested) : (use) => open(Opening.once(requested), use),
      size,
      takeTimeout,
      onUnavailable: ({ _tag }) => Effect.sync(() => reports.push(`unavailable: ${_tag}`)),
      onAvailable: () => Effect.sync(() => reports.push("available"))
    })
    const listener = yield* TunnelClient.listen({
      address: anyPort,
      pool,
      onStarted: () => Effect.void,
      onEnded: (_, error) => Effect.sync(() => ended.push(error)),
      onRefused: (_, error) => Effect.sync(() => reports.push(`refused: ${error?._tag ?? "rate"}`)),
      ...near
    })

    // Resets the connections that a test left open, so that its end does not wait for them.
    yield* Effect.addFinalizer(() => Effect.forEach(reached, ({ abort }) => abort))
    const connect: Effect.Effect<End, unknown, Scope.Scope> = Effect.gen(function* () {
      const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
      const connection = yield* withTimeout(
        "a connection",
        Scope.extend(transport.connect(listener.address), scope)
      )
      yield* Effect.addFinalizer(() => connection.abort)
      return {
        connection,
        close: (exit: Exit.Exit<void, unknown> = Exit.void) => Scope.close(scope, exit)
      }
    })
    const next = withTimeout("the target's connection", Queue.take(arrived))
    return {
      connect,
      next,
      /** The connections to the target, as they arrive. */
      arrivals: Queue.take(arrived),
      /** Number of connections to the target that no test has taken yet. */
      waiting: Queue.size(arrived),
      both: Effect.gen(function* () {
        const client = yield* connect
        return { client, target: yield* next }
      }),
      server,
      serve,
      peers,
      events,
      pool,
      wires,
      reports,
      ended
    }
  })

export const failed = Exit.fail("on purpose")
