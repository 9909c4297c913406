const minuteMillis = 60_000

/**
 * Counts amounts that are used up and refill evenly over a minute. The limit is not stored, since
 * it may change while the bucket lives.
 */
export class TokenBucket {
  #used = 0
  #updated: number

  /** `now` is in milliseconds. */
  constructor(now: number) {
    this.#updated = now
  }

  /** Returns the amount that is left of `perMinute`; negative if more was spent. */
  left(perMinute: number, now: number): number {
    const elapsed = Math.max(0, now - this.#updated)
    this.#used = Math.max(0, this.#used - (perMinute * elapsed) / minuteMillis)
    this.#updated = now
    return perMinute - this.#used
  }

  spend(amount: number): void {
    this.#used += amount
  }
}
