import { createCipheriv, createHash } from "node:crypto"

/**
 * Pseudorandom choices that a seed repeats. Each worker forks a generator of its own, so that the
 * choices of one worker do not depend on the timing of the others.
 */
export class Random {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed
    this.#state = seed | 0
  }

  /** A number from 0 up to but excluding 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer, both limits included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  bytes(length: number): Buffer {
    const key = createHash("sha256").update(`${this.next()} ${this.next()}`).digest()
    return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length))
  }

  fork(name: string): Random {
    return new Random(createHash("sha256").update(`${this.seed} ${name}`).digest().readInt32BE())
  }

  /**
   * Returns a function that deals the items in random order, and all of them before one comes
   * again: a short run then has every kind of action as well.
   */
  deck<A>(items: ReadonlyArray<A>): () => A {
    let rest: Array<A> = []
    return () => {
      if (rest.length === 0) rest = [...items]
      return rest.splice(this.integer(0, rest.length - 1), 1)[0] as A
    }
  }
}
