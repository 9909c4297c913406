const minute = 60_000

/** How much of something was used of so many a minute: that goes down evenly. What is left depends on how many are allowed now. */
export class TokenBucket {
  #used = 0
  #since: number

  constructor(now: number) {
    this.#since = now
  }

  /** What is left of so many. */
  left(perMinute: number, now: number): number {
    this.#used = Math.max(0, this.#used - (perMinute * Math.max(0, now - this.#since)) / minute)
    this.#since = now
    return perMinute - this.#used
  }

  spend(amount: number): void {
    this.#used += amount
  }
}
