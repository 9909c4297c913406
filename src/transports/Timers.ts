import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

/** How exactly an alarm rings, in milliseconds; never early. */
const grain = 20

/**
 * Deadlines without a fiber each: one fiber sleeps for all that wait on a clock. Ten thousand connections that each have a
 * deadline or a keepalive cost an entry in a set. Under TestClock they ring when that clock is moved.
 */
export class Timers {
  static readonly #all = new WeakMap<Clock.Clock, Timers>()

  /** Those of the clock of this fiber. */
  static readonly current: Effect.Effect<Timers> = Effect.clockWith((clock) => {
    const timers = Timers.#all.get(clock) ?? new Timers(clock)
    Timers.#all.set(clock, timers)
    return Effect.succeed(timers)
  })

  readonly #clock: Clock.Clock
  /** What rings, by the grain of time in which it does. */
  readonly #due = new Map<number, Set<{ readonly ring: () => void }>>()
  #sleeper: Fiber.RuntimeFiber<void> | undefined
  #wakes = Number.POSITIVE_INFINITY

  private constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** The time of day, in milliseconds since 1970. */
  get now(): number {
    return this.#clock.unsafeCurrentTimeMillis()
  }

  /** Milliseconds that only ever go forward: somebody may set the time of day. */
  get #monotonic(): number {
    return Number(this.#clock.unsafeCurrentTimeNanos() / 1_000_000n)
  }

  /** Calls `ring` once, after so many milliseconds; gives what stops it. Never before that is given. */
  schedule(millis: number, ring: () => void): () => void {
    const when = Math.ceil((this.#monotonic + Math.max(1, millis)) / grain)
    const alarm = { ring }
    const others = this.#due.get(when)
    if (others === undefined) this.#due.set(when, new Set([alarm]))
    else others.add(alarm)
    if (when < this.#wakes) this.#sleepUntil(when)
    return () => this.#stop(when, alarm)
  }

  #stop(when: number, alarm: { readonly ring: () => void }): void {
    const due = this.#due.get(when)
    if (due?.delete(alarm) !== true || due.size > 0) return
    this.#due.delete(when)
    // Or the sleep would keep the process.
    if (this.#due.size === 0) this.#sleepUntil(Number.POSITIVE_INFINITY)
  }

  #sleepUntil(when: number): void {
    this.#sleeper?.unsafeInterruptAsFork(FiberId.none)
    this.#wakes = when
    this.#sleeper =
      when === Number.POSITIVE_INFINITY
        ? undefined
        : Effect.runFork(
            Effect.zipRight(
              this.#clock.sleep(Duration.millis(when * grain - this.#monotonic)),
              Effect.sync(() => this.#wake())
            )
          )
  }

  #wake(): void {
    this.#sleeper = undefined
    this.#wakes = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#monotonic / grain)
    const rung = [...this.#due.keys()]
      .filter((when) => when <= now)
      .sort((one, other) => one - other)
    const timers = rung.map(
      (when) => this.#due.get(when) ?? new Set<{ readonly ring: () => void }>()
    )
    for (const when of rung) this.#due.delete(when)
    // A ring may set the next alarm, and stop another that rings in this same moment.
    for (const due of timers)
      for (const alarm of due) {
        due.delete(alarm)
        try {
          alarm.ring()
        } catch (fault) {
          // A fault of one is not the others'.
          Effect.runFork(Effect.logError("an alarm failed", Cause.die(fault)))
        }
      }
    const next = Math.min(...this.#due.keys())
    if (next < this.#wakes) this.#sleepUntil(next)
  }
}
