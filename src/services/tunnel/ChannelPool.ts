// The channels of a tunnel's near end: some are kept ready, so that a connection does not wait for
// a handshake, and they are opened again after an outage. TUNNEL.md section 6.
//
// ChannelPoolState.ts decides; this file performs the actions. Effect's Pool does not fit: it
// passes each acquisition error to the caller, while a failed attempt is retried here with a growing
// pause, and a returned item is ready at once, while the server must offer a channel again.
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { Control, type Channel } from "../../channel/Channel.ts"
import { ChannelClosed, ChannelTampered, type ChannelError } from "../../channel/ChannelErrors.ts"
import { Timers } from "../../transports/Timers.ts"
import { awaitAtMost } from "../../transports/Deadline.ts"
import type { SessionFailure } from "../Service.ts"
import {
  initial,
  limits,
  type ChannelId,
  type PoolAction,
  type PoolEvent,
  type PoolState,
  type WaiterId
} from "./ChannelPoolEvents.ts"
import { transition } from "./ChannelPoolState.ts"
import { decode } from "./Messages.ts"
import { PooledChannel, type Lease, type Use } from "./PooledChannel.ts"

export { limits, type Lease, type Use }

/** No channel was available within `takeTimeout`. */
export class NoChannel extends Data.TaggedError("NoChannel")<{ readonly reason: string }> {
  override get message(): string {
    return `no channel in time: ${this.reason}`
  }
}

/** Opens one channel: connects, passes the channel to `use`, and closes the channel after it. */
export type Open<E, R> = (
  use: (channel: Channel) => Effect.Effect<void, ChannelError>
) => Effect.Effect<void, E | ChannelError, R>

/** Options of a pool. */
export interface ChannelPoolOptions<E, R> {
  readonly open: Open<E, R>
  /** Number of channels kept ready. Default: `limits.ready`. */
  readonly size?: number
  /** Longest wait of a connection for a channel. Default: `limits.takeTimeout`. */
  readonly takeTimeout?: Duration.DurationInput
  /** Called once per outage, when no channel is ready and none can be opened. */
  readonly onUnavailable?: (error: E | ChannelError) => Effect.Effect<void>
  /** Called at the end of an outage that `onUnavailable` has reported. */
  readonly onAvailable?: () => Effect.Effect<void>
}

/** Channels of a tunnel, some of them ready for use. */
export interface ChannelPool<E> {
  /** Succeeds when the first channel is offered; fails as the first attempt did. */
  readonly firstAttempt: Effect.Effect<void, E | ChannelError>
  /** Takes a ready channel, or waits for a new one. */
  readonly take: Effect.Effect<Lease, NoChannel>
  /** Waits for a new channel: for a connection whose ready channel was lost before its use. */
  readonly takeFresh: Effect.Effect<Lease, NoChannel>
  /**
   * Succeeds if the server offers channels now: one is ready, or a new one can be opened. Fails with
   * the error of the last attempt. It takes at most `limits.checkTimeout`.
   */
  readonly check: Effect.Effect<void, E | ChannelError | NoChannel>
  /** The number of ready channels. */
  readonly ready: () => number
}

/**
 * Makes a pool that opens channels until its scope closes. Then the unused channels are closed, and
 * those in use have `limits.closeTimeout` to end.
 */
export const make = <E extends SessionFailure, R>(
  options: ChannelPoolOptions<E, R>
): Effect.Effect<ChannelPool<E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<R>()
    const pool = new PoolDriver(options, yield* Timers.current, Runtime.runFork(runtime))
    yield* Effect.addFinalizer(() => pool.close)
    pool.start()
    return {
      firstAttempt: Deferred.await(pool.firstAttempt),
      take: pool.take(false),
      takeFresh: pool.take(true),
      check: pool.check,
      ready: () => pool.ready
    }
  })

type Run<R> = (effect: Effect.Effect<void, never, R>) => Fiber.RuntimeFiber<void>

/** Performs the actions of ChannelPoolState, with the resources that its identifiers stand for. */
class PoolDriver<E extends SessionFailure, R> {
  readonly firstAttempt = Deferred.unsafeMake<void, E | ChannelError>(FiberId.none)
  readonly #options: ChannelPoolOptions<E, R>
  readonly #timers: Timers
  readonly #run: Run<R>
  #state: PoolState<E | ChannelError>
  readonly #fibers = new Map<ChannelId, Fiber.RuntimeFiber<void>>()
  readonly #channels = new Map<ChannelId, PooledChannel>()
  readonly #waiters = new Map<WaiterId, (result: Lease | NoChannel) => void>()
  #nextWaiter: WaiterId = 0
  /** Done when the pool is closed and its last session has ended. */
  readonly #idle = Deferred.unsafeMake<void>(FiberId.none)
  #stopBackoff = () => {}
  #stopRefill = () => {}
  #stopClockCheck = () => {}

  constructor(options: ChannelPoolOptions<E, R>, timers: Timers, run: Run<R>) {
    this.#options = options
    this.#timers = timers
    this.#run = run
    this.#state = initial<E | ChannelError>(options.size ?? limits.ready, timers.now)
  }

  get ready(): number {
    return this.#state.ready.length
  }

  start(): void {
    this.#dispatch({ _tag: "Started" })
    this.#scheduleClockCheck()
  }

  /** Gives up waiting after the timeout. Default: `takeTimeout`. */
  take(
    fresh: boolean,
    takeTimeout: Duration.DurationInput = this.#options.takeTimeout ?? limits.takeTimeout
  ): Effect.Effect<Lease, NoChannel> {
    return Effect.async((resume) => {
      const waiter = this.#nextWaiter++
      let lease: Lease | undefined
      let stopTimer = () => {}
      this.#waiters.set(waiter, (result) => {
        stopTimer()
        this.#waiters.delete(waiter)
        if (result instanceof NoChannel) return resume(result)
        lease = result
        resume(Effect.succeed(result))
      })
      this.#dispatch({ _tag: "Taken", waiter, fresh, now: this.#timers.now })
      // Most connections find a channel ready, and need no timer.
      if (this.#waiters.has(waiter))
        stopTimer = this.#timers.schedule(Duration.toMillis(takeTimeout), () =>
          this.#dispatch({ _tag: "TimedOut", waiter })
        )
      return Effect.sync(() => {
        stopTimer()
        this.#waiters.delete(waiter)
        this.#dispatch({ _tag: "Cancelled", waiter })
        // Interrupted between the loan and its use.
        lease?.release("unused")
      })
    })
  }

  /** A ready channel answers keepalives, so that its server is known to be there. */
  readonly check: Effect.Effect<void, E | ChannelError | NoChannel> = Effect.suspend(() => {
    const { lastError, size } = this.#state
    if (this.ready > 0) return Effect.void
    // A pool that keeps channels ready goes on trying by itself.
    if (lastError !== undefined && size > 0) return Effect.fail(lastError)
    return Effect.matchEffect(this.take(true, limits.checkTimeout), {
      onFailure: (error) => Effect.fail(this.#state.lastError ?? error),
      onSuccess: (lease) => Effect.sync(() => lease.release("unused"))
    })
  })

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#dispatch({ _tag: "ScopeClosed" })
    if (this.#fibers.size === 0) return Effect.void
    // Nothing is lost with a channel that is still being opened.
    const attempts = [...this.#fibers].flatMap(([id, fiber]) =>
      this.#channels.has(id) ? [] : [fiber]
    )
    return Effect.zipRight(
      Fiber.interruptAllAs(attempts, FiberId.none),
      Effect.suspend(() =>
        this.#fibers.size === 0
          ? Effect.void
          : Effect.zipRight(
              awaitAtMost(this.#idle, limits.closeTimeout),
              Fiber.interruptAll(this.#fibers.values())
            )
      )
    )
  })

  /** Performs all actions but the reports; returns all of them. */
  #dispatch(event: PoolEvent<E | ChannelError>): ReadonlyArray<PoolAction<E | ChannelError>> {
    const { state, actions } = transition(this.#state, event)
    this.#state = state
    for (const action of actions) this.#perform(action)
    return actions
  }

  /** As `#dispatch`, then reports. Only `Offered` and `Failed` cause reports. */
  #dispatchAndReport(event: PoolEvent<E | ChannelError>): Effect.Effect<void> {
    const { onAvailable, onUnavailable } = this.#options
    let report = Effect.void
    for (const action of this.#dispatch(event)) {
      if (action._tag === "ReportAvailable") report = onAvailable?.() ?? report
      if (action._tag === "ReportUnavailable") report = onUnavailable?.(action.error) ?? report
    }
    return report
  }

  #perform(action: PoolAction<E | ChannelError>): void {
    switch (action._tag) {
      case "Open":
        return this.#open(action.id)
      case "Lend":
        return this.#lend(action.id, action.waiter, action.wasReady)
      case "Keep":
        return this.#channels.get(action.id)?.channel.keepAlive(true)
      case "Discard":
        return this.#channels.get(action.id)?.release(action.failed ? "failed" : "unused")
      case "Refuse": {
        const reason = action.error?.message ?? "the server does not answer"
        return this.#waiters.get(action.waiter)?.(new NoChannel({ reason }))
      }
      case "BackOff":
        this.#stopBackoff = this.#timers.schedule(action.millis * (0.5 + Math.random() / 2), () =>
          this.#dispatch({ _tag: "BackoffElapsed" })
        )
        return
      case "ScheduleRefill":
        this.#stopRefill = this.#timers.schedule(limits.refillMillis, () =>
          this.#dispatch({ _tag: "RefillDue" })
        )
        return
      case "StopTimers":
        this.#stopBackoff()
        this.#stopRefill()
        this.#stopClockCheck()
    }
  }

  #open(id: ChannelId): void {
    const session = this.#options.open((channel) => this.#hold(id, channel))
    const fiber = this.#run(
      // An attempt may fail at once, and must not end before its fiber is known.
      Effect.zipRight(Effect.yieldNow(), session).pipe(
        Effect.catchAll((error) =>
          Effect.suspend(() => {
            Deferred.unsafeDone(this.firstAttempt, Effect.fail(error))
            return this.#dispatchAndReport({ _tag: "Failed", id, error })
          })
        ),
        Effect.ensuring(
          Effect.sync(() => {
            this.#fibers.delete(id)
            if (this.#state.phase === "Closed" && this.#fibers.size === 0)
              Deferred.unsafeDone(this.#idle, Effect.void)
            this.#dispatch({ _tag: "Ended", id })
          })
        )
      )
    )
    this.#fibers.set(id, fiber)
  }

  /** Holds the channel's session open until the channel is not used any more. */
  #hold(id: ChannelId, channel: Channel): Effect.Effect<void, ChannelError> {
    const used = Effect.async<void, ChannelError>((resume) => {
      const pooled = new PooledChannel(channel, this.#timers, {
        offered: () => this.#offered(id, pooled),
        returned: () => this.#dispatch({ _tag: "Returned", id }),
        ended: (reason) =>
          resume(
            typeof reason === "object"
              ? Effect.fail(reason)
              : reason === "failed"
                ? channel.setCloseReason("Failed")
                : Effect.void
          )
      })
      pooled.start()
    })
    return Effect.ensuring(
      used,
      Effect.sync(() => {
        this.#channels.delete(id)
        this.#dispatch({ _tag: "Released", id })
      })
    )
  }

  #offered(id: ChannelId, pooled: PooledChannel): void {
    this.#channels.set(id, pooled)
    Deferred.unsafeDone(this.firstAttempt, Effect.void)
    const { isReused } = pooled
    const report = this.#dispatchAndReport({ _tag: "Offered", id, isReused })
    if (report !== Effect.void) this.#run(report)
  }

  #lend(id: ChannelId, waiter: WaiterId, wasReady: boolean): void {
    const pooled = this.#channels.get(id)
    if (pooled === undefined) return
    if (wasReady) pooled.channel.keepAlive(false)
    pooled.lend()
    this.#waiters.get(waiter)?.(pooled)
  }

  #scheduleClockCheck(): void {
    this.#stopClockCheck = this.#timers.schedule(limits.clockCheckMillis, () => {
      this.#dispatch({ _tag: "ClockChecked", now: this.#timers.now })
      for (const [id, { isExpired }] of this.#channels)
        if (isExpired) this.#dispatch({ _tag: "Expired", id })
      this.#scheduleClockCheck()
    })
  }
}

/** Waits for `offered`: the server allows the use that the channel was opened for. */
export const untilOffered = (channel: Channel): Effect.Effect<void, ChannelError> =>
  Effect.flatMap(channel.read, (item): Effect.Effect<void, ChannelError> =>
    item instanceof Control && decode(item.body) === "offered"
      ? Effect.void
      : item === undefined
        ? new ChannelClosed({ peer: channel.peer, reason: "before it offered the tunnel" })
        : new ChannelTampered({ peer: channel.peer, detail: "a message other than offered" })
  )
