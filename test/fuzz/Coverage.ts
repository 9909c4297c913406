// The code that runs, block by block, from the inspector of this process.
import { Session, type Profiler } from "node:inspector"

/** For each function that ran: 1 for every character of its source that ran. */
export type Ran = ReadonlyMap<number, Uint8Array>

/**
 * Records coverage from its construction on. V8 counts blocks only in code that is compiled
 * afterwards: construct it before the code is imported.
 */
export class Coverage {
  readonly #session = new Session()
  readonly #isMeasured: (url: string) => boolean
  /** The number of each function, by its script and range. */
  readonly #functions = new Map<string, number>()
  readonly #seen = new Map<number, Uint8Array>()

  constructor(isMeasured: (url: string) => boolean) {
    this.#isMeasured = isMeasured
    this.#session.connect()
    this.#post("Profiler.enable")
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
  }

  /** Returns what ran since the last call. */
  take(): Ran {
    const ran = new Map<number, Uint8Array>()
    const { result } = this.#post("Profiler.takePreciseCoverage") as {
      readonly result: ReadonlyArray<Profiler.ScriptCoverage>
    }
    for (const { scriptId, url, functions } of result)
      if (this.#isMeasured(url))
        for (const { ranges } of functions) {
          const [whole] = ranges
          if (whole === undefined || whole.count === 0) continue
          const { startOffset: start, endOffset: end } = whole
          const painted = new Uint8Array(end - start)
          // A range inside another one comes after it.
          for (const { startOffset, endOffset, count } of ranges)
            painted.fill(count > 0 ? 1 : 0, startOffset - start, endOffset - start)
          ran.set(this.#numberOf(`${scriptId}:${start}:${end}`), painted)
        }
    return ran
  }

  /** Returns the part that no earlier call of `add` had, and remembers it. */
  add(ran: Ran): Ran {
    const fresh = new Map<number, Uint8Array>()
    for (const [number, painted] of ran) {
      let seen = this.#seen.get(number)
      if (seen === undefined) this.#seen.set(number, (seen = new Uint8Array(painted.length)))
      let added: Uint8Array | undefined
      for (let at = 0; at < painted.length; at++)
        if (painted[at] === 1 && seen[at] === 0) {
          seen[at] = 1
          added ??= new Uint8Array(painted.length)
          added[at] = 1
        }
      if (added !== undefined) fresh.set(number, added)
    }
    return fresh
  }

  /** Forgets what `add` remembers. */
  forget(): void {
    this.#seen.clear()
  }

  close(): void {
    this.#post("Profiler.stopPreciseCoverage")
    this.#session.disconnect()
  }

  #numberOf(key: string): number {
    const number = this.#functions.get(key) ?? this.#functions.size
    this.#functions.set(key, number)
    return number
  }

  /** A session with its own thread answers before `post` returns. */
  #post(method: string, params?: object): unknown {
    let answer: { readonly error: Error | null; readonly result: unknown } | undefined
    this.#session.post(method, params, (error, result) => (answer = { error, result }))
    if (answer === undefined) throw new Error(`${method} was not answered`)
    if (answer.error !== null) throw answer.error
    return answer.result
  }
}

/** Returns the part of `wanted` that did not run. */
export const without = (wanted: Ran, ran: Ran): Ran => {
  const rest = new Map<number, Uint8Array>()
  for (const [number, characters] of wanted) {
    const painted = ran.get(number)
    const left =
      painted === undefined ? characters : characters.map((one, at) => one & ~(painted[at] ?? 0))
    if (left.includes(1)) rest.set(number, left)
  }
  return rest
}

/** True when all of `wanted` ran. */
export const includes = (ran: Ran, wanted: Ran): boolean => without(wanted, ran).size === 0

/** True when some of `wanted` ran. */
export const intersects = (ran: Ran, wanted: Ran): boolean => {
  for (const [number, characters] of wanted) {
    const painted = ran.get(number)
    if (painted !== undefined && characters.some((one, at) => one === 1 && painted[at] === 1))
      return true
  }
  return false
}
