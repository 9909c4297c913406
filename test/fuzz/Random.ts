/** A generator of pseudo-random numbers (xorshift32): the same seed gives the same changes. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** Returns a whole number from 0 to `end` - 1; 0 when `end` is 0. */
  below(end: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x >>> 0
    return end <= 0 ? 0 : this.#state % end
  }

  /** Returns an element of a list that is not empty. */
  pick<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)] as A
  }
}
