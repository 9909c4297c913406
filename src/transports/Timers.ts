import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { after, longestTimerMillis } from "../bytes/timer.ts"
import { limits } from "./limits.ts"

/** Resolution of a timer, in milliseconds. A timer may fire this much late, never early. */
const tickMillis = 20

const systemClock = Context.get(DefaultServices.liveServices, Clock.Clock)

interface Timer {
  readonly callback: () => void
}

/**
 * Timers that share one sleeping fiber per clock, so that a deadline or keepalive of a connection
 * costs an entry in a set instead of a fiber. A TestClock controls them.
 */
export class Timers {
  static readonly #byClock = new WeakMap<Clock.Clock, Timers>()

  /** The timers of the current fiber's clock. */
  static readonly current: Effect.Effect<Timers> = Effect.clockWith((clock) => {
    const timers = Timers.#byClock.get(clock) ?? new Timers(clock)
    Timers.#byClock.set(clock, timers)
    return Effect.succeed(timers)
  })

  readonly #clock: Clock.Clock
  /** The pending timers, by the tick at which they fire. */
  readonly #pending = new Map<number, Set<Timer>>()
  #sleeper: Fiber.RuntimeFiber<void> | undefined
  /** The tick at which the sleeper wakes. */
  #wakesAt = Number.POSITIVE_INFINITY

  private constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Wall-clock time, in milliseconds since 1970. */
  get now(): number {
    return this.#clock.unsafeCurrentTimeMillis()
  }

  /**
   * Monotonic milliseconds since an arbitrary moment, rounded down: the wall clock can be set while
   * something is measured or a timer is pending.
   */
  get monotonic(): number {
    return Number(this.#clock.unsafeCurrentTimeNanos() / 1_000_000n)
  }

  /**
   * Calls `callback` once after `millis`, never synchronously. Returns a function that cancels the
   * timer.
   */
  schedule(millis: number, callback: () => void): () => void {
    const tick = Math.ceil((this.monotonic + Math.max(1, millis)) / tickMillis)
    const timer = { callback }
    const others = this.#pending.get(tick)
    if (others === undefined) this.#pending.set(tick, new Set([timer]))
    else others.add(timer)
    if (tick < this.#wakesAt) this.#sleepUntil(tick)
    return () => this.#cancel(tick, timer)
  }

  /**
   * The same for a release. Where the program's clock is not the system's, real time ends the wait
   * too: a scope must close although nobody advances a TestClock any more.
   */
  scheduleRelease(millis: number, callback: () => void): () => void {
    if (this.#clock === systemClock) return this.schedule(millis, callback)
    const done = () => {
      cancel()
      callback()
    }
    const onClock = this.schedule(millis, done)
    const inRealTime = after(Math.min(millis, limits.virtualReleaseMillis), done)
    const cancel = () => {
      onClock()
      inRealTime()
    }
    return cancel
  }

  #cancel(tick: number, timer: Timer): void {
    const timers = this.#pending.get(tick)
    if (timers?.delete(timer) !== true || timers.size > 0) return
    this.#pending.delete(tick)
    // A sleep without timers would keep the process running.
    if (this.#pending.size === 0) this.#sleepUntil(Number.POSITIVE_INFINITY)
  }

  #sleepUntil(tick: number): void {
    this.#sleeper?.unsafeInterruptAsFork(FiberId.none)
    this.#wakesAt = tick
    this.#sleeper =
      tick === Number.POSITIVE_INFINITY
        ? undefined
        : Effect.runFork(
            Effect.zipRight(
              // Woken early by the longest sleep, it goes on sleeping.
              this.#clock.sleep(
                Duration.millis(Math.min(tick * tickMillis - this.monotonic, longestTimerMillis))
              ),
              Effect.sync(() => this.#wake())
            )
          )
  }

  #wake(): void {
    this.#sleeper = undefined
    this.#wakesAt = Number.POSITIVE_INFINITY
    const now = Math.floor(this.monotonic / tickMillis)
    const ticks = [...this.#pending.keys()]
      .filter((tick) => tick <= now)
      .sort((one, other) => one - other)
    const due = ticks.map((tick) => this.#pending.get(tick) ?? new Set<Timer>())
    for (const tick of ticks) this.#pending.delete(tick)
    // A callback may schedule a timer, and may cancel another one that is due now.
    for (const timers of due)
      for (const timer of timers) {
        timers.delete(timer)
        try {
          timer.callback()
        } catch (defect) {
          // One failing callback must not stop the others.
          Effect.runFork(Effect.logError("a timer callback failed", Cause.die(defect)))
        }
      }
    const next = Math.min(...this.#pending.keys())
    if (next < this.#wakesAt) this.#sleepUntil(next)
  }
}
