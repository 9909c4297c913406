/**
 * Actions of each kind that a minute of both servers has at least: about a fifth of what an idle
 * machine does.
 */
export const leastPerMinute = {
  "messages acknowledged": 30,
  "messages taken": 30,
  "inbox audits": 0.3,
  pushes: 0.5,
  pulls: 0.15,
  "tunnel flows": 6,
  "half-closed flows": 1.5,
  strangers: 3,
  "wrong keys": 0.1,
  "guests added": 0.15,
  "guests revoked": 0.15,
  reloads: 0.3,
  pairings: 0.05,
  kills: 0.2,
  stops: 0.05,
  "rotation steps": 0.1,
  rotations: 0.02,
  "clients killed": 0.2,
  // Depends on the load of the machine.
  "handshakes cut by a restart": 0
} as const

export type Counted = keyof typeof leastPerMinute

/** Minutes after which every kind has happened; a whole rotation takes some. */
const soonest = 10

/** How often each action succeeded. */
export class Counters {
  readonly #counts = new Map<Counted, number>()

  add(name: Counted, amount = 1): void {
    this.#counts.set(name, this.of(name) + amount)
  }

  of(name: Counted): number {
    return this.#counts.get(name) ?? 0
  }

  /** Every kind with its count and its minimum for a run of so many minutes. */
  table(minutes: number): ReadonlyArray<readonly [Counted, count: number, least: number]> {
    return (Object.keys(leastPerMinute) as Array<Counted>).map((name) => [
      name,
      this.of(name),
      Math.max(
        minutes < soonest || leastPerMinute[name] === 0 ? 0 : 1,
        Math.round(leastPerMinute[name] * minutes)
      )
    ])
  }

  /** The kinds of which there were too few: a soak that does nothing must not pass. */
  missing(minutes: number): ReadonlyArray<string> {
    return this.table(minutes)
      .filter(([, count, least]) => count < least)
      .map(([name, count, least]) => `only ${count} ${name}, at least ${least} are expected`)
  }
}
