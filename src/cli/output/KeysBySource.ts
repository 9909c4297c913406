import * as Duration from "effect/Duration"
import { limits } from "../../transports/limits.ts"
import type { Timers } from "../../transports/Timers.ts"

const intervalMillis = Duration.toMillis(limits.reportInterval)

/**
 * Selects the keys that are reported apart from the others of their source: the first
 * `limits.reportKeysPerSource` of each source within `limits.reportInterval`, and at most
 * `limits.reportKeys` of all. A source that shows ever new keys gets no more lines.
 */
export class KeysBySource {
  readonly #timers: Timers
  readonly #keys = new Map<string, Set<string>>()
  #size = 0
  #cancel: (() => void) | undefined

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** True if the key is among the first of its source. */
  selects(source: string, key: string): boolean {
    const keys = this.#keys.get(source) ?? new Set<string>()
    if (keys.has(key)) return true
    if (keys.size >= limits.reportKeysPerSource || this.#size >= limits.reportKeys) return false
    this.#keys.set(source, keys.add(key))
    this.#size++
    this.#cancel ??= this.#timers.schedule(intervalMillis, () => this.stop())
    return true
  }

  /** Forgets all keys. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#keys.clear()
    this.#size = 0
  }
}
