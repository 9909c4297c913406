import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import {
  AdmissionControl,
  limitedSourceOf,
  sourceOf,
  type AdmittedConnection
} from "./AdmissionControl.ts"
import {
  closeWithScope,
  connectionOf,
  end,
  read,
  write,
  type Connection,
  type Wire
} from "./Connection.ts"
import { awaitAtMost } from "./Deadline.ts"
import { connectionsBelowDescriptorLimit, limits } from "./limits.ts"
import { Repeats } from "./Repeats.ts"
import { StreamFlow } from "./StreamFlow.ts"
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
export interface Handler<R> {
  (connection: Accepted): Effect.Effect<void, never, R | Scope.Scope>
  /**
   * Does the same, but begins in callbacks. An acceptor calls it instead, so that a connection costs
   * no fiber before it is authenticated.
   */
  readonly begin?: Begin<R>
}

/**
 * Begins to handle a connection, synchronously. It calls one function of `then`, sooner or later.
 * Returns a function that ends what has begun: the acceptor has reset the connection before it calls
 * it, and no function of `then` may be called afterwards.
 */
export type Begin<R> = (connection: Accepted, then: Continuation<R>) => () => void

/** How the handling of a connection goes on. */
export interface Continuation<R> {
  /** Runs the session in a fiber, in the scope of the connection. */
  readonly serve: (session: Effect.Effect<void, never, R | Scope.Scope>) => void
  /** Forgets the connection, which has been reset, and runs the report about it. */
  readonly forget: (report: Effect.Effect<void, never, R>) => void
}

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

/** The group of all evictions of a listener. */
const listened = "listener"

/** Runs the handler for each connection of a listener. All transports share it. */
export interface Acceptor {
  /** A transport calls this synchronously for each incoming connection. */
  readonly accept: (wire: Wire) => void
  /** Returns the number of connections that are not authenticated. */
  readonly halfOpen: () => number
}

/** The state that all connections of a listener share. */
interface Listening {
  readonly admission: AdmissionControl<Incoming>
  readonly closing: Deferred.Deferred<void>
  /** The callbacks of `onDraining`; undefined once the listener closes. */
  onDraining: Set<() => void> | undefined
}

/** An incoming connection: one object, because a listener has many. */
class Incoming implements Accepted, AdmittedConnection {
  readonly #listening: Listening
  readonly flow: StreamFlow
  readonly source: string | undefined
  responsive = false
  /** Ends the part of the handler that has no fiber. */
  cancel: () => void = ignore
  fiber: Fiber.RuntimeFiber<void> | undefined

  constructor(listening: Listening, wire: Wire) {
    this.#listening = listening
    this.flow = new StreamFlow(wire)
    this.source = limitedSourceOf(wire.peer)
  }

  get peer(): string {
    return this.flow.wire.peer
  }

  get local(): string | undefined {
    return this.flow.wire.local
  }

  get read(): Accepted["read"] {
    return read(this.flow)
  }

  get end(): Accepted["end"] {
    return end(this.flow)
  }

  get abort(): Accepted["abort"] {
    return Effect.sync(() => this.flow.reset())
  }

  get draining(): Accepted["draining"] {
    return Deferred.await(this.#listening.closing)
  }

  write(bytes: Uint8Array): ReturnType<Accepted["write"]> {
    return write(this.flow, bytes)
  }

  markResponsive(): void {
    this.responsive = true
  }

  markAuthenticated(): void {
    this.#listening.admission.markAuthenticated(this)
  }

  onDraining(callback: () => void): () => void {
    const { onDraining } = this.#listening
    if (onDraining === undefined) callback()
    else onDraining.add(callback)
    return () => onDraining?.delete(callback)
  }

  /** The same with members of its own, which a handler may copy into another object. */
  asObject(): Accepted {
    return {
      ...connectionOf(this.flow),
      markResponsive: () => this.markResponsive(),
      markAuthenticated: () => this.markAuthenticated(),
      draining: this.draining,
      onDraining: (callback) => this.onDraining(callback)
    }
  }
}

const ignore = () => {}

/**
 * Runs the session in a scope of its own, and `closed` when that has closed: Effect.scoped,
 * Effect.ensuring and a handler of defects in one, because each holds memory as long as a session.
 */
const inScope = <R>(
  session: Effect.Effect<void, never, R | Scope.Scope>,
  closed: () => void
): Effect.Effect<void, never, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) => {
      const close = (exit: Exit.Exit<void>) =>
        Effect.map(Effect.catchAllCause(Scope.close(scope, exit), logDefect), closed)
      return Effect.matchCauseEffect(restore(Scope.extend(session, scope)), {
        onFailure: (cause) => Effect.zipRight(logDefect(cause), close(Exit.failCause(cause))),
        onSuccess: () => close(Exit.void)
      })
    })
  )

/** A defect of one handler must not end the listener. */
const logDefect = (cause: Cause.Cause<never>): Effect.Effect<void> =>
  Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logError("connection handler failed", cause)

/**
 * Makes an acceptor. When the scope closes, it resets new connections, lets handlers run until
 * `limits.drainDeadline`, then resets their connections and interrupts them.
 */
export const acceptor = <R>(
  handler: Handler<R>,
  options: ListenOptions = {}
): Effect.Effect<Acceptor, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    type Session = Effect.Effect<void, never, R | Scope.Scope>
    const runtime = yield* Effect.runtime<Exclude<R, Scope.Scope>>()
    const run = Runtime.runFork(runtime)
    const connections = options.connections ?? connectionsBelowDescriptorLimit()
    const { halfOpen = connections, halfOpenPerSource = halfOpen } = options
    const admission = new AdmissionControl<Incoming>({ connections, halfOpen, halfOpenPerSource })
    const listening: Listening = {
      admission,
      closing: yield* Deferred.make<void>(),
      onDraining: new Set()
    }
    const empty = yield* Deferred.make<void>()
    let isOpen = true
    const minimum = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
    const logsDebug = LogLevel.lessThanEqual(minimum, LogLevel.Debug)

    const remove = (incoming: Incoming) => {
      admission.remove(incoming)
      if (!isOpen && admission.size === 0) Deferred.unsafeDone(empty, Effect.void)
    }

    const warn = (text: string) =>
      void run(Effect.logWarning(`${text}: too many unauthenticated connections`))
    // One group: under a flood from many sources a line for each would be a flood of its own.
    const evictions = new Repeats<string>({
      timers: yield* Timers.current,
      onRepeated: (peer, count) =>
        warn(
          `${count.toLocaleString("en-US")} more ${count === 1 ? "connection" : "connections"} reset, the last from ${sourceOf(peer)}`
        ),
      other: (peer) => peer
    })

    const evict = (incoming: Incoming) => {
      const { peer, fiber } = incoming
      incoming.flow.reset()
      incoming.cancel()
      const isFirst = evictions.add(listened, peer) !== undefined
      if (isFirst) warn(`${peer}: connection reset`)
      // A fiber for each would cost a flooded server more than the eviction itself.
      else if (logsDebug)
        run(Effect.logDebug(`${peer}: connection reset: too many unauthenticated connections`))
      if (fiber !== undefined) run(Fiber.interruptFork(fiber))
    }

    const serve = (incoming: Incoming, session: Session): void => {
      incoming.cancel = ignore
      incoming.fiber = run(
        inScope(Effect.zipRight(closeWithScope(incoming.flow), session), () =>
          remove(incoming)
        ) as Effect.Effect<void, never, Exclude<R, Scope.Scope>>
      )
    }

    const forget = (incoming: Incoming, report: Effect.Effect<void, never, R>): void => {
      incoming.cancel = ignore
      remove(incoming)
      // A fiber would cost as much as the reset.
      if (Exit.isExit(report) && Exit.isSuccess(report)) return
      run(
        Effect.catchAllCause(report, logDefect) as Effect.Effect<
          void,
          never,
          Exclude<R, Scope.Scope>
        >
      )
    }

    const begin: Begin<R> =
      handler.begin ??
      ((incoming, { serve }) => {
        serve(Effect.suspend(() => handler((incoming as Incoming).asObject())))
        return ignore
      })

    const accept = (wire: Wire) => {
      if (!isOpen) return wire.reset()
      const incoming = new Incoming(listening, wire)
      const evicted = admission.admit(incoming)
      if (evicted !== undefined) evict(evicted)
      if (evicted === incoming) return
      try {
        const cancel = begin(incoming, {
          serve: (session) => serve(incoming, session),
          forget: (report) => forget(incoming, report)
        })
        if (incoming.fiber === undefined) incoming.cancel = cancel
      } catch (defect) {
        serve(incoming, Effect.die(defect))
      }
    }

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        isOpen = false
        evictions.stop()
        yield* Deferred.succeed(listening.closing, undefined)
        const callbacks = listening.onDraining ?? []
        listening.onDraining = undefined
        for (const callback of callbacks) callback()
        if (admission.size === 0) return
        yield* awaitAtMost(empty, limits.drainDeadline)
        const remaining = admission.admitted
        // Reset before the interruption: an uninterruptible handler then no longer waits for its
        // peer.
        for (const { flow } of remaining) flow.reset()
        for (const { cancel } of remaining) cancel()
        yield* Fiber.interruptAll(
          remaining.flatMap(({ fiber }) => (fiber === undefined ? [] : [fiber]))
        )
      })
    )
    return { accept, halfOpen: () => admission.halfOpenCount }
  })
