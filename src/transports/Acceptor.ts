import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { fromWire, type Connection, type Wire } from "./Connection.ts"
import { awaitAtMost } from "./Deadline.ts"
import { AdmissionControl, sourceOf, type AdmittedConnection } from "./AdmissionControl.ts"
import { connectionsBelowDescriptorLimit, limits } from "./limits.ts"

/** A connection that came in. */
export interface Accepted extends Connection {
  /** Says that this peer has shown something, as its program counts that: when room is needed, those that have not go first. */
  readonly markResponsive: () => void
  /**
   * Says that this peer has shown who it is. Until then it is the one to go, oldest first, when the listener is
   * full and a newcomer stands at the door.
   */
  readonly markAuthenticated: () => void
  /** Done when the listener closes: finish what is in flight and end. */
  readonly draining: Effect.Effect<void>
  /** The same without a fiber that waits; gives what stops it. */
  readonly onDraining: (drain: () => void) => () => void
}

/** What a program does with one connection. It has the connection's scope; what fails inside, it settles itself. */
export type Handler<R> = (connection: Accepted) => Effect.Effect<void, never, R | Scope.Scope>

/** How many a listener takes. */
export interface ListenOptions {
  /** Connections at once; by default 64 below the file-descriptor limit, at most `limits.connections`. */
  readonly connections?: number
  /** Connections at once that are not established, in all and from one source; by default as many as `connections`. */
  readonly halfOpen?: number
  readonly halfOpenPerSource?: number
}

interface Visitor extends AdmittedConnection {
  readonly wire: Wire
  fiber: Fiber.RuntimeFiber<void> | undefined
}

/** The door shared by every transport: runs the handler for each newcomer, keeps the count, and closes in good order. */
export interface Acceptor {
  /** Called synchronously by a transport for each connection that comes in. */
  readonly accept: (wire: Wire) => void
  /** Connections that are not established, now. */
  readonly halfOpen: () => number
}

/** With the scope: newcomers are turned away, handlers get until the drain deadline, then they are interrupted. */
export const acceptor = <R>(
  handler: Handler<R>,
  options: ListenOptions = {}
): Effect.Effect<Acceptor, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<Exclude<R, Scope.Scope>>()
    const connections = options.connections ?? connectionsBelowDescriptorLimit()
    const { halfOpen = connections, halfOpenPerSource = halfOpen } = options
    const gate = new AdmissionControl<Visitor>({ connections, halfOpen, halfOpenPerSource })
    const closing = yield* Deferred.make<void>()
    const empty = yield* Deferred.make<void>()
    const drainers = new Set<() => void>()
    let open = true

    const leave = (visitor: Visitor) => {
      gate.remove(visitor)
      if (!open && gate.size === 0) Deferred.unsafeDone(empty, Effect.void)
    }

    const evict = ({ wire, fiber }: Visitor) => {
      wire.reset()
      Runtime.runFork(runtime)(
        Effect.logWarning(`${wire.peer}: let go: the listener is full, and a newcomer came`)
      )
      if (fiber !== undefined) Runtime.runFork(runtime)(Fiber.interruptFork(fiber))
    }

    const serve = (visitor: Visitor) =>
      fromWire(visitor.wire).pipe(
        Effect.flatMap((connection) =>
          handler({
            ...connection,
            markResponsive: () => {
              visitor.responsive = true
            },
            markAuthenticated: () => gate.markAuthenticated(visitor),
            draining: Deferred.await(closing),
            onDraining: (drain) => {
              if (open) drainers.add(drain)
              else drain()
              return () => drainers.delete(drain)
            }
          })
        ),
        Effect.scoped,
        // A fault of the handler is ours, not the other guests'.
        Effect.catchAllCause((cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.void
            : Effect.logError("connection handler failed", cause)
        ),
        Effect.ensuring(Effect.sync(() => leave(visitor)))
      ) as Effect.Effect<void, never, Exclude<R, Scope.Scope>>

    const accept = (wire: Wire) => {
      if (!open) return wire.reset()
      const visitor: Visitor = {
        wire,
        source: sourceOf(wire.peer),
        responsive: false,
        fiber: undefined
      }
      const evicted = gate.admit(visitor)
      if (evicted !== undefined) evict(evicted)
      if (evicted !== visitor) visitor.fiber = Runtime.runFork(runtime)(serve(visitor))
    }

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        open = false
        yield* Deferred.succeed(closing, undefined)
        for (const drain of drainers) drain()
        if (gate.size === 0) return
        yield* awaitAtMost(empty, limits.drainDeadline)
        const late = gate.admitted
        // Before the interruption: a handler that nothing can interrupt at least cannot wait for its peer any more.
        for (const { wire } of late) wire.reset()
        yield* Fiber.interruptAll(late.flatMap(({ fiber }) => (fiber === undefined ? [] : [fiber])))
      })
    )
    return { accept, halfOpen: () => gate.halfOpenCount }
  })
