import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { AdmissionControl, sourceOf, type AdmittedConnection } from "./AdmissionControl.ts"
import { fromWire, type Connection, type Wire } from "./Connection.ts"
import { awaitAtMost } from "./Deadline.ts"
import { connectionsBelowDescriptorLimit, limits } from "./limits.ts"
import { Repeats } from "./Repeats.ts"
import { Timers } from "./Timers.ts"

/** An incoming connection. */
export interface Accepted extends Connection {
  /** Marks the peer as responsive: unresponsive peers are evicted before it. */
  readonly markResponsive: () => void
  /**
   * Marks the peer as authenticated. Until then the listener, when it is full, may evict this
   * connection for a new one, the oldest first.
   */
  readonly markAuthenticated: () => void
  /**
   * Completes when the listener closes: the handler must finish the work in progress and return.
   */
  readonly draining: Effect.Effect<void>
  /**
   * Calls back when the listener closes, without a waiting fiber. Returns a function that cancels
   * it.
   */
  readonly onDraining: (callback: () => void) => () => void
}

/**
 * Handles one connection, in the scope of that connection. It must handle its own errors; the
 * acceptor logs a defect.
 */
export type Handler<R> = (connection: Accepted) => Effect.Effect<void, never, R | Scope.Scope>

/** Limits of a listener. */
export interface ListenOptions {
  /**
   * Concurrent connections. Default: the file-descriptor limit less 64, at most
   * `limits.connections`.
   */
  readonly connections?: number
  /** Concurrent connections that are not authenticated. Default: `connections`. */
  readonly halfOpen?: number
  /** The same, from one source. Default: `halfOpen`. */
  readonly halfOpenPerSource?: number
}

interface OpenConnection extends AdmittedConnection {
  readonly wire: Wire
  fiber: Fiber.RuntimeFiber<void> | undefined
}

/** The peers that `Repeats` does not tell apart. */
const others = "other addresses"

/** Runs the handler for each connection of a listener. All transports share it. */
export interface Acceptor {
  /** A transport calls this synchronously for each incoming connection. */
  readonly accept: (wire: Wire) => void
  /** Returns the number of connections that are not authenticated. */
  readonly halfOpen: () => number
}

/**
 * Makes an acceptor. When the scope closes, it resets new connections, lets handlers run until
 * `limits.drainDeadline`, then resets their connections and interrupts them.
 */
export const acceptor = <R>(
  handler: Handler<R>,
  options: ListenOptions = {}
): Effect.Effect<Acceptor, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<Exclude<R, Scope.Scope>>()
    const connections = options.connections ?? connectionsBelowDescriptorLimit()
    const { halfOpen = connections, halfOpenPerSource = halfOpen } = options
    const admission = new AdmissionControl<OpenConnection>({
      connections,
      halfOpen,
      halfOpenPerSource
    })
    const closing = yield* Deferred.make<void>()
    const empty = yield* Deferred.make<void>()
    const onDraining = new Set<() => void>()
    let isOpen = true

    const remove = (connection: OpenConnection) => {
      admission.remove(connection)
      if (!isOpen && admission.size === 0) Deferred.unsafeDone(empty, Effect.void)
    }

    const warnOf = (peer: string, count: number) =>
      void Runtime.runFork(runtime)(
        Effect.logWarning(
          `${peer}: ${count === 1 ? "connection" : `${count.toLocaleString("en-US")} more connections`} reset: too many unauthenticated connections`
        )
      )
    const evictions = new Repeats<string>({
      timers: yield* Timers.current,
      onRepeated: (peer, count) => warnOf(peer === others ? peer : sourceOf(peer), count),
      other: () => others
    })

    const evict = ({ wire, fiber, source }: OpenConnection) => {
      wire.reset()
      const first = evictions.add(source, wire.peer)
      if (first !== undefined) warnOf(first, 1)
      else
        Runtime.runFork(runtime)(
          Effect.logDebug(`${wire.peer}: connection reset: too many unauthenticated connections`)
        )
      if (fiber !== undefined) Runtime.runFork(runtime)(Fiber.interruptFork(fiber))
    }

    const serve = (open: OpenConnection) =>
      fromWire(open.wire).pipe(
        Effect.flatMap((connection) =>
          handler({
            ...connection,
            markResponsive: () => {
              open.responsive = true
            },
            markAuthenticated: () => admission.markAuthenticated(open),
            draining: Deferred.await(closing),
            onDraining: (callback) => {
              if (isOpen) onDraining.add(callback)
              else callback()
              return () => onDraining.delete(callback)
            }
          })
        ),
        Effect.scoped,
        // A defect of one handler must not end the listener.
        Effect.catchAllCause((cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.void
            : Effect.logError("connection handler failed", cause)
        ),
        Effect.ensuring(Effect.sync(() => remove(open)))
      ) as Effect.Effect<void, never, Exclude<R, Scope.Scope>>

    const accept = (wire: Wire) => {
      if (!isOpen) return wire.reset()
      const open: OpenConnection = {
        wire,
        source: sourceOf(wire.peer),
        responsive: false,
        fiber: undefined
      }
      const evicted = admission.admit(open)
      if (evicted !== undefined) evict(evicted)
      if (evicted !== open) open.fiber = Runtime.runFork(runtime)(serve(open))
    }

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        isOpen = false
        evictions.stop()
        yield* Deferred.succeed(closing, undefined)
        for (const callback of onDraining) callback()
        if (admission.size === 0) return
        yield* awaitAtMost(empty, limits.drainDeadline)
        const remaining = admission.admitted
        // Reset before the interruption: an uninterruptible handler then no longer waits for its
        // peer.
        for (const { wire } of remaining) wire.reset()
        yield* Fiber.interruptAll(
          remaining.flatMap(({ fiber }) => (fiber === undefined ? [] : [fiber]))
        )
      })
    )
    return { accept, halfOpen: () => admission.halfOpenCount }
  })
