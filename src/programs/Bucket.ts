const minute = 60_000

/** How much of something is left of so many a minute: full at first, and filled evenly. */
export class Bucket {
  #left: number
  #since: number

  constructor(perMinute: number, now: number) {
    this.#left = perMinute
    this.#since = now
  }

  /** What is left now. */
  left(perMinute: number, now: number): number {
    this.#left = Math.min(perMinute, this.#left + (perMinute * Math.max(0, now - this.#since)) / minute)
    this.#since = now
    return this.#left
  }

  spend(amount: number): void {
    this.#left -= amount
  }
}
