// Reports that strangers cause: the first at once, and the others as a count per interval.
import * as Duration from "effect/Duration"
import { limits } from "./limits.ts"
import type { Timers } from "./Timers.ts"

interface Group<E> {
  /** The last event of the group. */
  event: E
  /** Number of events that were not reported. */
  count: number
}

/** Options of a table of repeats. */
export interface RepeatsOptions<E> {
  readonly timers: Timers
  /** Reports `count` more events of a group within `limits.reportInterval`; `event` is the last. */
  readonly onRepeated: (event: E, count: number) => void
  /** Returns the event of the group that takes the events of new groups while the table is full. */
  readonly other: (event: E) => E
}

/**
 * Counts events by group. The caller reports the first of each group; the table reports how many
 * followed, once per `limits.reportInterval`, and forgets a group after an interval without any. It
 * holds at most `limits.reportGroups` groups.
 *
 * @example
 * const repeats = new Repeats({ timers, other: () => others, onRepeated: reportCount })
 * const first = repeats.add(source, event)
 * if (first !== undefined) report(first)
 */
export class Repeats<E> {
  readonly #options: RepeatsOptions<E>
  readonly #groups = new Map<string, Group<E>>()
  #cancel: (() => void) | undefined

  constructor(options: RepeatsOptions<E>) {
    this.#options = options
  }

  /** Number of groups. */
  get size(): number {
    return this.#groups.size
  }

  /** Counts an event. Returns the event to report now, if it is the first of its group. */
  add(key: string, event: E): E | undefined {
    const isFull = !this.#groups.has(key) && this.#groups.size >= limits.reportGroups
    const [groupKey, counted] = isFull ? [otherKey, this.#options.other(event)] : [key, event]
    const group = this.#groups.get(groupKey)
    if (group !== undefined) {
      group.event = counted
      group.count++
      return undefined
    }
    this.#groups.set(groupKey, { event: counted, count: 0 })
    this.#cancel ??= this.#options.timers.schedule(intervalMillis, this.#tick)
    return counted
  }

  /** Reports what was counted, and stops. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#report()
    this.#groups.clear()
  }

  readonly #tick = (): void => {
    this.#cancel = undefined
    this.#report()
    if (this.#groups.size > 0)
      this.#cancel = this.#options.timers.schedule(intervalMillis, this.#tick)
  }

  #report(): void {
    for (const [key, group] of this.#groups) {
      const { event, count } = group
      group.count = 0
      if (count > 0) this.#options.onRepeated(event, count)
      else this.#groups.delete(key)
    }
  }
}

/** No source has this name. */
const otherKey = ""
const intervalMillis = Duration.toMillis(limits.reportInterval)
