// Looks for inputs that reach new code or a new outcome, starting from kept ones.
import { Coverage, includes, intersects, without, type Ran } from "./Coverage.ts"
import { limits } from "./limits.ts"
import { mutate } from "./mutate.ts"
import { Random } from "./Random.ts"
import { runOne } from "./runOne.ts"
import type { Target } from "./Target.ts"

/** An input that violates the property of its target. */
export interface Fault {
  readonly input: Buffer
  readonly cause: unknown
}

export interface FuzzOptions {
  readonly target: Target
  readonly coverage: Coverage
  /** The inputs to begin with, besides the target's seeds. */
  readonly kept: ReadonlyArray<Uint8Array>
  readonly seed: number
  /** False ends the search. Asked between two batches. */
  readonly more: (runs: number) => boolean
  /** Called before each input, for a watchdog. */
  readonly beforeEach?: (input: Uint8Array) => void
}

export interface FuzzResult {
  /** The smallest set found that reaches all the code and outcomes that the search has reached. */
  readonly corpus: ReadonlyArray<Buffer>
  readonly outcomes: number
  readonly runs: number
  readonly fault: Fault | undefined
}

/** How many times longer the inputs of a batch should run than it takes to read the coverage. */
const runsPerTake = 8

/** Longest time of a batch in milliseconds: to find the source of new coverage runs it again. */
const batchMillis = 300

/** Attempts to shorten one input. Each reads the coverage. */
const shortenings = 12

class Search {
  readonly #options: FuzzOptions
  readonly #random: Random
  readonly #words: ReadonlyArray<Uint8Array>
  readonly #outcomes = new Set<string>()
  readonly inputs: Array<Buffer> = []
  runs = 0
  fault: Fault | undefined

  constructor(options: FuzzOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
    this.#words = (options.target.words ?? []).map((word) => Buffer.from(word))
  }

  get outcomes(): number {
    return this.#outcomes.size
  }

  /** Runs an input; returns true when its outcome is new. */
  async #run(input: Buffer): Promise<boolean> {
    this.#options.beforeEach?.(input)
    this.runs++
    try {
      const outcome = await runOne(this.#options.target, input)
      if (this.#outcomes.has(outcome)) return false
      this.#outcomes.add(outcome)
      return true
    } catch (cause) {
      this.fault ??= { input, cause }
      return false
    }
  }

  /** Runs a kept input or a seed, and keeps it as it is if it reaches something new. */
  async begin(input: Buffer): Promise<void> {
    const { coverage } = this.#options
    const isNewOutcome = await this.#run(input)
    if (coverage.add(coverage.take()).size > 0 || isNewOutcome) this.inputs.push(input)
  }

  /**
   * Runs inputs and keeps those that reach something new. Returns the number of inputs that suits
   * the next batch.
   */
  async batch(inputs: ReadonlyArray<Buffer>): Promise<number> {
    const { coverage } = this.#options
    const started = performance.now()
    for (const input of inputs) {
      if (await this.#run(input)) this.inputs.push(input)
      if (this.fault !== undefined) return 0
    }
    const ended = performance.now()
    const ran = coverage.take()
    const taken = performance.now()
    const fresh = coverage.add(ran)
    if (fresh.size > 0) await this.#findSource(inputs, fresh)
    const inputMillis = (ended - started) / inputs.length
    const millis = Math.min(batchMillis, runsPerTake * (taken - ended))
    return Math.ceil(Math.min(millis / inputMillis, 2 * inputs.length))
  }

  /** Keeps the inputs that reach `wanted`; returns the part that none reaches. */
  async #findSource(inputs: ReadonlyArray<Buffer>, wanted: Ran): Promise<Ran> {
    const [only] = inputs
    if (only === undefined || wanted.size === 0) return wanted
    if (!this.#options.more(this.runs)) return wanted
    const ran = await this.#coverageOf(inputs)
    if (!intersects(ran, wanted)) return wanted
    if (inputs.length === 1) {
      this.inputs.push(await this.#shorten(only, without(wanted, without(wanted, ran))))
      return without(wanted, ran)
    }
    const half = inputs.length >> 1
    const rest = await this.#findSource(inputs.slice(0, half), wanted)
    return this.#findSource(inputs.slice(half), rest)
  }

  async #coverageOf(inputs: ReadonlyArray<Buffer>): Promise<Ran> {
    for (const input of inputs) await this.#run(input)
    return this.#options.coverage.take()
  }

  /** Removes parts of an input that reaches `wanted` while it still does. */
  async #shorten(input: Buffer, wanted: Ran): Promise<Buffer> {
    let shortest = input
    for (let size = input.length >> 1, tries = shortenings; size > 0 && tries > 0; size >>= 1)
      for (let at = 0; at + size <= shortest.length && tries > 0; tries--) {
        const shorter = Buffer.concat([shortest.subarray(0, at), shortest.subarray(at + size)])
        if (includes(await this.#coverageOf([shorter]), wanted)) shortest = shorter
        else at += size
      }
    return shortest
  }

  /** Makes inputs from kept ones; the latest are chosen more often. */
  next(count: number): ReadonlyArray<Buffer> {
    const { target } = this.#options
    const source = (): Buffer =>
      this.#random.below(3) === 0
        ? (this.inputs.at(-1 - this.#random.below(Math.min(16, this.inputs.length))) as Buffer)
        : this.#random.pick(this.inputs)
    return Array.from({ length: count }, () =>
      mutate(source(), {
        random: this.#random,
        other: source(),
        words: this.#words,
        maxBytes: target.maxBytes
      })
    )
  }

  /** Chooses from the inputs, the shortest first, those that reach something the others do not. */
  async minimised(): Promise<ReadonlyArray<Buffer>> {
    const { coverage } = this.#options
    coverage.forget()
    this.#outcomes.clear()
    const byLength = this.inputs.toSorted((one, other) => one.length - other.length)
    const chosen: Array<Buffer> = []
    const onlyOutcome: Array<Buffer> = []
    for (const input of byLength) {
      const isNewOutcome = await this.#run(input)
      if (coverage.add(coverage.take()).size > 0) chosen.push(input)
      else if (isNewOutcome) onlyOutcome.push(input)
    }
    return [...chosen, ...onlyOutcome].slice(0, limits.corpusFiles)
  }
}

/** Searches until `more` returns false or an input fails. */
export const fuzz = async (options: FuzzOptions): Promise<FuzzResult> => {
  const search = new Search(options)
  const { target, kept, more } = options
  // What importing the target ran.
  options.coverage.take()
  // Kept inputs first: seeds with random parts then add nothing to a corpus that has their like.
  const first = [...kept, ...target.seeds()].map((bytes) => Buffer.from(bytes))
  for (const input of [...first, Buffer.alloc(0)]) {
    await search.begin(input)
    if (search.fault !== undefined) break
  }
  if (search.inputs.length === 0) search.inputs.push(Buffer.alloc(0))
  for (let size = 16; search.fault === undefined && more(search.runs);) {
    size = Math.max(8, await search.batch(search.next(size)))
  }
  return {
    fault: search.fault,
    runs: search.runs,
    outcomes: search.outcomes,
    corpus: search.fault === undefined ? await search.minimised() : search.inputs
  }
}
