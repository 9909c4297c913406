import { setMaxListeners } from "node:events"
import { Counters } from "./Counters.ts"

/** Violations beyond this number are counted and not printed. */
const shown = 50

/** What happened in a run: counts, violations, and whether the run goes on. */
export class Journal {
  readonly seed: number
  readonly counters = new Counters()
  readonly started = Date.now()
  readonly #out: (line: string) => void
  readonly #stop = new AbortController()
  readonly #violations: Array<string> = []

  constructor(seed: number, out: (line: string) => void) {
    this.seed = seed
    // Every worker that pauses listens.
    setMaxListeners(0, this.#stop.signal)
    this.#out = out
  }

  get violations(): ReadonlyArray<string> {
    return this.#violations
  }

  get minutes(): number {
    return (Date.now() - this.started) / 60_000
  }

  get isStopping(): boolean {
    return this.#stop.signal.aborted
  }

  /** Asks every worker to finish what it is doing. */
  stop(): void {
    this.#stop.abort()
  }

  violation(what: string): void {
    this.#violations.push(what)
    if (this.#violations.length <= shown)
      this.#out(`VIOLATION (seed ${this.seed}, ${this.minutes.toFixed(1)} min): ${what}`)
  }

  /** Reports each of these violations. */
  check(...whats: ReadonlyArray<string | undefined>): void {
    for (const what of whats) if (what !== undefined) this.violation(what)
  }

  /** Waits; returns at once when the run stops. */
  pause(millis: number): Promise<void> {
    const { signal } = this.#stop
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener("abort", done)
        resolve()
      }
      const timer = setTimeout(done, millis)
      signal.addEventListener("abort", done)
    })
  }
}
