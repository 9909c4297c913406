/** Actions of each kind that a minute of both servers has at least; about a third of the usual. */
export const leastPerMinute = {
  "messages acknowledged": 60,
  "messages taken": 60,
  "inbox audits": 0.5,
  pushes: 1,
  pulls: 0.25,
  "tunnel flows": 15,
  "half-closed flows": 3,
  strangers: 6,
  "wrong keys": 0.2,
  "guests added": 0.3,
  "guests revoked": 0.3,
  reloads: 0.5,
  pairings: 0.1,
  kills: 0.5,
  stops: 0.1,
  "rotation steps": 0.2,
  rotations: 0.05,
  "clients killed": 0.3
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
      Math.max(minutes < soonest ? 0 : 1, Math.round(leastPerMinute[name] * minutes))
    ])
  }

  /** The kinds of which there were too few: a soak that does nothing must not pass. */
  missing(minutes: number): ReadonlyArray<string> {
    return this.table(minutes)
      .filter(([, count, least]) => count < least)
      .map(([name, count, least]) => `only ${count} ${name}, at least ${least} are expected`)
  }
}
